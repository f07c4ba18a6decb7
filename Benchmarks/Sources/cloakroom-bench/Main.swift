import Foundation

/// `cloakroom-bench redis://…`: prints figures; `scripts/bench` builds it and starts the server.
@main
struct Main {
    static func main() async throws {
        guard CommandLine.arguments.count >= 2 else {
            FileHandle.standardError.write(
                Data(
                    "usage: cloakroom-bench REDIS_URL [client|memory|store|near-cache|bytes|million|profile[-loop]-CONNECTIONS …]\n"
                        .utf8))
            exit(64)
        }
        let url = CommandLine.arguments[1]
        let parts =
            CommandLine.arguments.count > 2
            ? Array(CommandLine.arguments[2...]) : ["client", "memory", "store", "near-cache", "bytes", "million"]
        if parts.contains("client") {
            try await RedisClientBenchmark(url: url, benchmarkProgram: RedisBenchmarkProgram()).run()
        }
        for count in 1...4 {
            for (part, onEventLoops) in [("profile-\(count)", false), ("profile-loop-\(count)", true)]
            where parts.contains(part) {
                try await RedisClientBenchmark.load(url: url, connections: count, onEventLoops: onEventLoops)
            }
        }
        if parts.contains("memory") { try await StoreBenchmark().runInMemory() }
        let stores = RedisStoreBenchmark(url: url)
        if parts.contains("store") { try await stores.rates() }
        if parts.contains("profile-sealed") { try await stores.sealedReads() }
        if parts.contains("profile-create") { try await stores.creates() }
        if parts.contains("near-cache") { try await stores.nearCache() }
        if parts.contains("bytes") { try await stores.bytes() }
        if parts.contains("million") { try await stores.million() }
    }
}
