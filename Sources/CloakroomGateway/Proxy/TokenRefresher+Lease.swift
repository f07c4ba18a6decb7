import Cloakroom
import CloakroomHummingbird
import Logging

/// Refreshes on many replicas: the one that holds the session's lease asks the provider, the others wait for its result
/// (R21).
extension TokenRefresher {
    /// Longer than providers commonly take; it is renewed while one takes longer.
    private static let leaseLifetime = Duration.seconds(10)
    /// How long a request waits for another replica.
    private static let patience = Duration.seconds(30)

    func refreshUnderLease(_ id: SessionID, in store: any RefreshLeaseStore) async throws -> Outcome {
        let end = ContinuousClock.now + Self.patience
        while true {
            guard let session = try await storeCall({ try await store.session(for: id) }) else { return .ended }
            if let outcome = try await outcomeWithoutRefresh(of: session, id) { return outcome }
            switch try await storeCall({
                try await store.acquireRefreshLease(for: id, lifetime: Self.leaseLifetime)
            }) {
            case .ended: return .ended
            case .granted(let lease): return try await refresh(under: lease, in: store)
            case .held: break
            }
            let left = end - .now
            guard left > .zero else { return fallback(session) }
            switch try await storeCall({ try await store.waitForRefresh(of: id, after: session, atMost: left) }) {
            case .refreshed(let refreshed): return .ready(refreshed)
            case .ended: return .ended
            case .timedOut: return fallback(session)
            // Its holder gave up or died: this replica may try.
            case .free: continue
            }
        }
    }

    private func refresh(under lease: RefreshLease, in store: any RefreshLeaseStore) async throws -> Outcome {
        let id = lease.id
        do {
            // Another may have finished between our read and the lease.
            if let outcome = try await outcomeWithoutRefresh(of: lease.session, id) {
                await release(lease, in: store)
                return outcome
            }
            switch try await renewing(lease, in: store, { try await self.askProvider(lease.session, id) }) {
            case .outcome(let outcome):
                await release(lease, in: store)
                return outcome
            case .tokens(let tokens):
                let result = try await persisting(id) { try await store.completeRefresh(lease, tokens: tokens) }
                switch result {
                case .refreshed(let session):
                    logger.debug("Refreshed a session's tokens", metadata: ["session": "\(id.handle)"])
                    return .ready(session)
                case .superseded(let session): return .ready(session)
                case .ended: return .ended
                }
            }
        } catch {
            await release(lease, in: store)
            throw error
        }
    }

    /// Does something while the lease is renewed. A lease that is lost stops nothing: the store then does not take the
    /// result if another has refreshed the session.
    private func renewing<Value: Sendable>(
        _ lease: RefreshLease, in store: any RefreshLeaseStore, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                while (try? await Task.sleep(for: Self.leaseLifetime / 3)) != nil {
                    guard (try? await store.renewRefreshLease(lease, lifetime: Self.leaseLifetime)) != false else {
                        break
                    }
                }
                return nil
            }
            group.addTask { try await body() }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let value = result { return value }
            }
            throw CancellationError()
        }
    }

    /// A lease that can't be given back ends by itself.
    private func release(_ lease: RefreshLease, in store: any RefreshLeaseStore) async {
        try? await store.releaseRefreshLease(lease)
    }
}
