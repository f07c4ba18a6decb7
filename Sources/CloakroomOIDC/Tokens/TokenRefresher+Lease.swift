import Cloakroom
import Logging

/// Refreshes in many processes: the one that holds the session's lease asks the provider, the others wait for its result
/// (R21).
extension TokenRefresher {
    func refresh(_ id: SessionID) async throws -> Outcome {
        // What the provider gave earlier comes first: to ask it again with the old refresh token would end the session.
        if let outcome = try await saveEarlierTokens(id) { return outcome }
        let end = ContinuousClock.now + configuration.patience
        while true {
            guard let session = try await storeCall({ try await self.store.session(for: id) }) else { return .ended }
            if let outcome = try await outcomeWithoutRefresh(of: session, id) { return outcome }
            switch try await storeCall({
                try await self.store.acquireRefreshLease(for: id, lifetime: self.configuration.leaseLifetime)
            }) {
            case .ended: return .ended
            case .granted(let lease):
                if let outcome = try await refresh(under: lease) { return outcome }
            case .held:
                let left = end - .now
                guard left > .zero else { break }
                let result = try await metrics.timingWait {
                    try await storeCall { try await self.store.waitForRefresh(of: id, after: session, atMost: left) }
                }
                switch result {
                case .refreshed(let refreshed):
                    metrics.count(.reused)
                    return outcome(of: refreshed, after: session)
                case .ended:
                    metrics.count(.ended)
                    return .ended
                case .timedOut:
                    metrics.count(.failed)
                    return fallback(session, retryAfter: configuration.firstBackoff)
                // Its holder gave up or died: this process may try.
                case .free: break
                }
            }
            guard end > .now else { return fallback(session, retryAfter: configuration.firstBackoff) }
        }
    }

    /// `nil` when the session has other tokens by now and must be looked at again.
    private func refresh(under lease: RefreshLease) async throws -> Outcome? {
        let id = lease.id
        do {
            // Another may have finished between our read and the lease.
            if let outcome = try await outcomeWithoutRefresh(of: lease.session, id) {
                await release(lease)
                return outcome
            }
            guard canRefresh(lease.session) else {
                await release(lease)
                return nil
            }
            switch await renewing(lease, { await self.askProvider(lease.session, id) }) {
            case .none(let time):
                metrics.count(.failed)
                await release(lease)
                return fallback(lease.session, retryAfter: time)
            case .mustEnd(let reason):
                metrics.count(.ended)
                let outcome = try await end(id, with: lease.session.tokens, because: reason)
                await release(lease)
                return outcome
            case .tokens(let answer):
                switch try await save(answer.tokens, under: lease) {
                case .refreshed(let session):
                    metrics.count(.refreshed)
                    logger.debug("Refreshed a session's tokens", metadata: ["session": "\(id.handle)"])
                    return outcome(of: session, after: lease.session)
                case .superseded(let session):
                    metrics.count(.reused)
                    return outcome(of: session, after: lease.session)
                case .ended:
                    metrics.count(.ended)
                    return .ended
                }
            }
        } catch {
            await release(lease)
            throw error
        }
    }

    /// Does something while the lease is renewed. A lease that is lost stops nothing: the store then does not take the
    /// result if another has refreshed the session.
    private func renewing<Value: Sendable>(
        _ lease: RefreshLease, _ body: @escaping @Sendable () async -> Value
    ) async -> Value {
        let lifetime = configuration.leaseLifetime
        let interval = max(lifetime / 3, .milliseconds(10))
        let renewal = Task { [store] in
            while (try? await Task.sleep(for: interval)) != nil {
                guard (try? await store.renewRefreshLease(lease, lifetime: lifetime)) != false else { break }
            }
        }
        defer { renewal.cancel() }
        return await body()
    }

    /// A lease that can't be given back ends by itself.
    private func release(_ lease: RefreshLease) async { try? await store.releaseRefreshLease(lease) }

    /// What a refresh came to. A new access token is taken as good whatever the clocks say; the old one lasts to its end,
    /// when the provider gave a refresh token alone that can be used.
    func outcome(of session: Session, after old: Session) -> Outcome {
        sameBytes(session.tokens.accessToken, old.tokens.accessToken)
            ? fallback(session, retryAfter: configuration.firstBackoff) : .ready(session)
    }

    /// `nil` when the session is to be refreshed.
    private func outcomeWithoutRefresh(of session: Session, _ id: SessionID) async throws -> Outcome? {
        let need = need(of: session)
        guard need != .none else { return .ready(session) }
        guard !canRefresh(session) else { return nil }
        guard need == .overdue else { return .ready(session) }
        return try await end(
            id, with: session.tokens, because: "its access token ended and this provider can't give another")
    }

    /// Ends a session whose tokens are worth nothing, if they are still these: another process may have got new ones
    /// meanwhile, and then they count. The store compares, so that no refresh comes in between.
    ///
    /// - Returns: `nil` when it has other tokens, which must be looked at.
    private func end(_ id: SessionID, with tokens: TokenSet, because reason: String) async throws -> Outcome? {
        switch try await storeCall({ try await self.store.deleteSession(id, ifTokensAre: tokens) }) {
        case .changed(let session): return need(of: session) == .overdue ? nil : .ready(session)
        case .absent: return .ended
        case .ended:
            logger.log(
                level: events == nil ? .info : .debug, "A session ended",
                metadata: ["session": "\(id.handle)", "reason": "\(reason)"])
            return .ended
        }
    }
}
