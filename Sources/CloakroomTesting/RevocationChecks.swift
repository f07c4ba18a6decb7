import Cloakroom

extension StoreConformance {
    static let revocationChecks: [Check] = [
        directoryCheck("R20: one session is ended by its handle, and only if it is that user's") { store, replica in
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            let other = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            try expect(try await replica.deleteSession(id.handle, ofUser: "joe") == false, "it is not joe's to end")
            try expect(try await store.session(for: id) != nil, "so it lives")
            try expect(try await replica.deleteSession(id.handle, ofUser: "jane"), "it is hers to end")
            try await expectEnded([id], in: [store, replica])
            try expect(try await store.session(for: other) != nil, "her other one lives")
            try expect(try await replica.deleteSession(id.handle, ofUser: "jane") == false, "there is none any more")
            try expect(try await store.deleteSession(other.handle, ofUser: nil), "without a user it is anyone's")
            try await expectEnded([other], in: [store, replica])
            try expect(
                try await store.deleteSession(SessionID().handle, ofUser: nil) == false, "an unknown one is none")
        },
        directoryCheck("R20: all sessions of a user but one are ended, and nobody else's") { store, replica in
            let ids = try await create(40, of: "jane", in: store)
            let others = try await create(3, of: "joe", in: store)
            let count = try await replica.deleteSessions(ofUser: "jane", except: ids[7])
            try expect(count == 39, "39 were ended, not \(count)")
            try await expectEnded(ids.filter { $0 != ids[7] }, in: [store, replica])
            try expect(try await store.session(for: ids[7]) != nil, "the one that is kept lives")
            for id in others { try expect(try await store.session(for: id) != nil, "other users' live") }
            try expect(try await store.deleteSessions(ofUser: "jane", except: others[0]) == 1, "another's is not kept")
            try await expectEnded([ids[7]], in: [store, replica])
            try expect(try await store.deleteSessions(ofUser: "jane", except: nil) == 0, "none is left")
        },
        directoryCheck("R20: all sessions of a provider session are ended, and no others") { store, replica in
            let ids = try await [
                store.createSession(tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane")),
                replica.createSession(tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane")),
            ]
            let other = try await store.createSession(
                tokens: Sample.tokens(providerSession: "idp-2"), userInfo: user("jane"))
            try expect(try await replica.deleteSessions(ofProviderSession: "idp-1") == 2, "two were ended")
            try await expectEnded(ids, in: [store, replica])
            try expect(try await store.session(for: other) != nil, "that of another lives")
            try expect(try await store.deleteSessions(ofProviderSession: "idp-1") == 0, "none is left")
        },
        directoryCheck("R20: all sessions are ended") { store, replica in
            let ids = try await create(60, of: "jane", in: store) + create(60, of: "joe", in: replica)
            let count = try await replica.deleteAllSessions()
            try expect(count == 120, "120 were ended, not \(count)")
            try await expectEnded(ids, in: [store, replica])
            try expect(try await areEmpty(store, replica), "no list shows any")
            let id = try await store.createSession(tokens: Sample.tokens(), userInfo: user("jane"))
            try expect(try await replica.session(for: id) != nil, "new ones may begin")
        },
        directoryCheck("R20: an ended session is in no list of any replica, however it was ended") { store, replica in
            for way in 0..<5 {
                let id = try await store.createSession(
                    tokens: Sample.tokens(providerSession: "idp-1"), userInfo: user("jane"))
                try expect(try await replica.sessions(ofUser: "jane").count == 1, "it is listed")
                switch way {
                case 0: try await replica.deleteSession(id)
                case 1: _ = try await replica.deleteSession(id.handle, ofUser: "jane")
                case 2: _ = try await replica.deleteSessions(ofUser: "jane", except: nil)
                case 3: _ = try await replica.deleteSessions(ofProviderSession: "idp-1")
                default: _ = try await replica.deleteAllSessions()
                }
                try expect(try await areEmpty(store, replica), "it is in no list any more")
            }
        },
    ]

    static func create(_ count: Int, of subject: String, in store: any SessionStore) async throws -> [SessionID] {
        try await withThrowingTaskGroup(of: SessionID.self) { group in
            for _ in 0..<count {
                group.addTask { try await store.createSession(tokens: Sample.tokens(), userInfo: user(subject)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    static func expectEnded(_ ids: [SessionID], in stores: [any SessionStore]) async throws {
        for id in ids {
            for store in stores { try expect(try await store.session(for: id) == nil, "an ended session is gone") }
        }
    }
}
