import Cloakroom
import Logging
import Synchronization

/// New tokens are kept before anyone uses them (R22), and are not given up because the store is away.
extension TokenRefresher {
    /// How long a caller bears with a store that fails: the pauses between tries.
    private static let pauses = [Duration.milliseconds(100), .milliseconds(400), .seconds(1)]
    /// How long, and how often, tokens are tried to be kept when nobody waits any more.
    private static let longestTry = Duration.seconds(600)
    private static let tryInterval = Duration.milliseconds(500)
    /// How long the end of the process waits for a store that is away.
    private static let lastTry = Duration.seconds(3)

    /// Keeps new tokens.
    ///
    /// - Throws: ``SessionStoreError`` when the store fails for longer than a caller should wait. The tokens are then held
    ///   in memory and kept as soon as the store is back.
    func save(_ tokens: TokenSet, under lease: RefreshLease) async throws -> RefreshResult {
        let handle = lease.id.handle
        for pause in Self.pauses {
            do {
                return try await complete(lease, tokens)
            } catch {
                logger.warning(
                    "New tokens could not be stored yet", metadata: ["session": "\(handle)", "error": "\(error)"])
            }
            try? await Task.sleep(for: pause)
        }
        do {
            return try await complete(lease, tokens)
        } catch {
            let isHeld = state.withLock { $0.unsaved.add(.init(lease: lease, tokens: tokens)) }
            if isHeld {
                Task { await self.keepTrying(handle) }
            } else {
                logger.error("New tokens were lost", metadata: ["session": "\(handle)", "error": "\(error)"])
            }
            throw error
        }
    }

    /// Keeps what an earlier refresh brought and the store did not take then.
    ///
    /// - Returns: `nil` when there is nothing of the kind.
    func saveEarlierTokens(_ id: SessionID) async throws -> Outcome? {
        guard let entry = state.withLock({ $0.unsaved[id.handle] }) else { return nil }
        switch try await saveHeld(entry) {
        case .refreshed(let session), .superseded(let session): return outcome(of: session, after: entry.lease.session)
        case .ended: return .ended
        }
    }

    /// The last try for all that is held, when the process ends.
    func saveRest() async {
        let end = ContinuousClock.now + Self.lastTry
        while case let held = state.withLock({ $0.unsaved.all }), let first = held.first {
            if (try? await saveHeld(first)) != nil { continue }
            guard end > .now else {
                for entry in held { state.withLock { $0.unsaved.remove(entry.lease.id.handle) } }
                logger.error(
                    "New tokens of sessions were lost, as the store is away", metadata: ["count": "\(held.count)"])
                return
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func keepTrying(_ handle: SessionHandle) async {
        let end = ContinuousClock.now + Self.longestTry
        while let entry = state.withLock({ $0.unsaved[handle] }) {
            if (try? await saveHeld(entry)) != nil {
                logger.info("New tokens were stored after all", metadata: ["session": "\(handle)"])
                return
            }
            guard end > .now else {
                state.withLock { $0.unsaved.remove(handle) }
                logger.error("New tokens were lost, as the store is away", metadata: ["session": "\(handle)"])
                return
            }
            try? await Task.sleep(for: Self.tryInterval)
        }
    }

    private func saveHeld(_ entry: UnsavedTokens.Entry) async throws -> RefreshResult {
        let result = try await complete(entry.lease, entry.tokens)
        state.withLock { $0.unsaved.remove(entry.lease.id.handle) }
        return result
    }

    private func complete(_ lease: RefreshLease, _ tokens: TokenSet) async throws -> RefreshResult {
        let result = try await storeCall { try await self.store.completeRefresh(lease, tokens: tokens) }
        if case .refreshed(let session) = result {
            events?.emit(SessionEvent(.refreshed, session: lease.id.handle, user: session.user))
        }
        return result
    }
}
