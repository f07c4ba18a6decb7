// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// What the libraries for sessions need. Everybody who depends on this package resolves these.
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")

// What only some need: a package that none of the enabled traits wants is not even resolved.
func optional(_ product: String, _ package: String, _ traits: Set<String>) -> Target.Dependency {
    .product(name: product, package: package, condition: .when(traits: traits))
}
let cryptoExtras = optional("CryptoExtras", "swift-crypto", ["OIDC", "Demo"])
let httpClient = optional("AsyncHTTPClient", "async-http-client", ["OIDC"])
let hummingbird = optional("Hummingbird", "hummingbird", ["Hummingbird", "Demo"])
let hummingbirdTesting = optional("HummingbirdTesting", "hummingbird", ["Hummingbird"])
let nioHTTP2 = optional("NIOHTTP2", "swift-nio-http2", ["Gateway"])
let nioHPACK = optional("NIOHPACK", "swift-nio-http2", ["Gateway"])
let configuration = optional("Configuration", "swift-configuration", ["Gateway"])
let argumentParser = optional("ArgumentParser", "swift-argument-parser", ["Gateway"])
let mustache = optional("Mustache", "swift-mustache", ["Gateway"])
let yams = optional("Yams", "Yams", ["Gateway"])
let systemPackage = optional("SystemPackage", "swift-system", ["Gateway"])
let unixSignals = optional("UnixSignals", "swift-service-lifecycle", ["Gateway"])
let jwtKit = optional("JWTKit", "jwt-kit", ["Demo"])
let subprocess = optional("Subprocess", "swift-subprocess", ["Demo"])

let package = Package(
    name: "cloakroom",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Cloakroom", targets: ["Cloakroom"]),
        .library(name: "CloakroomRedis", targets: ["CloakroomRedis"]),
        .library(name: "CloakroomOIDC", targets: ["CloakroomOIDC"]),
        .library(name: "CloakroomHTTP", targets: ["CloakroomHTTP"]),
        .library(name: "CloakroomHummingbird", targets: ["CloakroomHummingbird"]),
        .library(name: "CloakroomHummingbirdRedis", targets: ["CloakroomHummingbirdRedis"]),
        .library(name: "CloakroomGateway", targets: ["CloakroomGateway"]),
        .library(name: "CloakroomTesting", targets: ["CloakroomTesting"]),
        // Underscored: for our own benchmarks only, no promise of a stable API.
        .library(name: "_CloakroomRedisClient", targets: ["CloakroomRedisClient"]),
        .executable(name: "cloakroom", targets: ["CloakroomCLI"]),
    ],
    // Sessions in memory and in Redis and CloakroomHTTP need none of them: `traits: []` in a package's dependency on this
    // one. They are all on by default so that `swift run cloakroom demo` works.
    traits: [
        .default(enabledTraits: ["Hummingbird", "Demo"]),
        .trait(name: "OIDC", description: "CloakroomOIDC: login, refresh of tokens"),
        .trait(
            name: "Hummingbird",
            description: "CloakroomHummingbird, CloakroomHummingbirdRedis: for apps with Hummingbird"),
        .trait(name: "Gateway", description: "CloakroomGateway and the program `cloakroom`", enabledTraits: ["OIDC"]),
        .trait(
            name: "Demo", description: "`cloakroom demo`; programs for production go without",
            enabledTraits: ["Gateway"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.10.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.7.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.97.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.40.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.0.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.9.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.3.0"),
    ],
    targets: [
        // The system's zlib, for compressed records.
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .yum(["zlib-devel"]), .brew(["zlib"])]),
        // The core: knows no Redis and no HTTP.
        .target(name: "Cloakroom", dependencies: ["CZlib", crypto, deque, heap, logging, lifecycle, metrics]),
        // RESP3 over SwiftNIO: knows no session.
        .target(name: "CloakroomRedisClient", dependencies: [deque, logging, metrics, nioCore, nioPosix, nioSSL]),
        .target(
            name: "CloakroomRedis",
            dependencies: [
                "Cloakroom", "CloakroomRedisClient", crypto, deque, logging, metrics, nioCore, nioPosix, lifecycle,
            ]),
        // The relying party.
        .target(
            name: "CloakroomOIDC",
            dependencies: [
                "Cloakroom", crypto, cryptoExtras, httpClient, lifecycle, logging, metrics, nioCore, nioHTTP1, nioPosix,
                nioSSL,
            ]),
        // What HTTP means for sessions, login and logout: no framework, no socket.
        .target(name: "CloakroomHTTP", dependencies: ["Cloakroom", crypto, httpTypes, logging]),
        // HTTP/1.1 in bytes, for the gateway: knows no session and no route.
        .target(name: "CloakroomHTTP1", dependencies: [nioCore]),
        .target(
            name: "CloakroomHummingbird",
            dependencies: ["Cloakroom", "CloakroomHTTP", hummingbird, httpTypes, nioCore]),
        // Hummingbird's key/value store in Redis; without it, an app need not link the Redis client.
        .target(
            name: "CloakroomHummingbirdRedis",
            dependencies: ["Cloakroom", "CloakroomRedis", hummingbird, lifecycle, logging]),
        .target(
            name: "CloakroomGateway",
            dependencies: [
                "Cloakroom", "CloakroomRedis", "CloakroomRedisClient", "CloakroomOIDC", "CloakroomHTTP",
                "CloakroomHTTP1", configuration, coreMetrics, httpClient, httpTypes, lifecycle, logging, metrics,
                mustache, nioCore, nioHPACK, nioHTTP1, nioHTTP2, nioPosix, nioSSL, nioTLS, systemPackage, yams,
            ]),
        // A small OpenID provider for the demo and tests; not in programs for production.
        .target(
            name: "DevIdentityProvider",
            dependencies: [
                "Cloakroom", crypto, cryptoExtras, hummingbird, httpClient, httpTypes, jwtKit, lifecycle, logging,
                nioCore,
                nioHTTP1,
            ]),
        .target(
            name: "CloakroomDemo",
            dependencies: [
                "Cloakroom", "CloakroomGateway", "CloakroomHTTP", "DevIdentityProvider", argumentParser, hummingbird,
                httpClient, httpTypes, jwtKit, lifecycle, logging, nioCore, nioHTTP1, nioPosix, subprocess,
                systemPackage,
                unixSignals,
            ]),
        .executableTarget(
            name: "CloakroomCLI",
            dependencies: [
                "Cloakroom", "CloakroomGateway", "CloakroomHTTP", "CloakroomOIDC", "CloakroomRedis",
                .target(name: "CloakroomDemo", condition: .when(traits: ["Demo"])), argumentParser, configuration,
                httpClient, lifecycle, logging, metrics, nioCore, nioHTTP1, nioSSL, unixSignals,
            ]),
        // The conformance suite that every store must pass.
        .target(name: "CloakroomTesting", dependencies: ["Cloakroom"]),

        // What several test targets share.
        .target(
            name: "TestSupport", dependencies: [logging, coreMetrics, nioCore, nioPosix], path: "Tests/TestSupport"),
        .testTarget(
            name: "CloakroomTests",
            dependencies: [
                "Cloakroom", "CloakroomTesting", "CZlib", "TestSupport", crypto, logging,
            ]),
        .testTarget(
            name: "CloakroomRedisClientTests",
            dependencies: ["CloakroomRedisClient", "TestSupport", logging, nioCore, nioEmbedded, nioPosix]),
        .testTarget(
            name: "CloakroomRedisTests",
            dependencies: ["Cloakroom", "CloakroomRedis", "CloakroomRedisClient", "TestSupport", logging, nioCore]),
        .testTarget(
            name: "CloakroomOIDCTests",
            dependencies: [
                "Cloakroom", "CloakroomOIDC", "TestSupport", crypto, cryptoExtras, httpClient, hummingbird, httpTypes,
                jwtKit, lifecycle, logging, nioCore,
            ]),
        .testTarget(
            name: "CloakroomHTTPTests",
            dependencies: ["Cloakroom", "CloakroomHTTP", crypto, httpTypes, logging]),
        // What must hold for all bytes: for tests and for the fuzzer.
        .target(
            name: "HTTP1Check", dependencies: ["CloakroomHTTP1", nioCore, nioEmbedded, nioHTTP1],
            path: "Tests/HTTP1Check"),
        .testTarget(
            name: "CloakroomHTTP1Tests", dependencies: ["CloakroomHTTP1", "HTTP1Check", "TestSupport", nioCore],
            resources: [.copy("Corpus")]),
        .testTarget(
            name: "CloakroomHummingbirdTests",
            dependencies: [
                "Cloakroom", "CloakroomHTTP", "CloakroomHummingbird", hummingbird, hummingbirdTesting, httpTypes,
                logging, nioCore,
            ]),
        .testTarget(
            name: "CloakroomGatewayTests",
            dependencies: [
                "Cloakroom", "CloakroomGateway", "CloakroomHTTP", "CloakroomHTTP1", "CloakroomOIDC",
                "DevIdentityProvider", "TestSupport", configuration, coreMetrics, hummingbird, hummingbirdTesting,
                httpClient, httpTypes, lifecycle, logging, metrics, nioCore, nioHTTP1, nioPosix,
            ]),
        .testTarget(
            name: "DevIdentityProviderTests",
            dependencies: [
                "DevIdentityProvider", crypto, hummingbird, hummingbirdTesting, httpClient, httpTypes, jwtKit,
                lifecycle,
                logging, nioCore, nioHTTP1,
            ]),
        .testTarget(
            name: "CloakroomDemoTests",
            dependencies: [
                "CloakroomDemo", "DevIdentityProvider", "TestSupport", crypto, hummingbird, httpClient, httpTypes,
                lifecycle, logging, nioCore, nioHTTP1, nioPosix, subprocess, systemPackage,
            ]),
        .testTarget(
            name: "CloakroomCLITests",
            dependencies: ["Cloakroom", "CloakroomCLI", "CloakroomGateway", "CloakroomRedis", argumentParser]),
        // Real servers, started and stopped by the tests.
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Cloakroom", "CloakroomHummingbirdRedis", "CloakroomOIDC", "CloakroomRedis", "CloakroomRedisClient",
                "CloakroomTesting", "TestSupport", crypto, hummingbird, logging, nioCore, nioPosix, subprocess,
            ]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = settings
}

// scripts/fuzz: the codec with the counters that libFuzzer goes by. Not in any other build.
if Context.environment["CLOAKROOM_FUZZ"] != nil {
    for target in package.targets where ["CloakroomHTTP1", "HTTP1Check"].contains(target.name) {
        target.swiftSettings = settings + [.unsafeFlags(["-sanitize=fuzzer"])]
    }
    package.targets.append(
        .executableTarget(
            name: "HTTP1Fuzz", dependencies: ["HTTP1Check"], path: "Tests/HTTP1Fuzz", exclude: ["http1.dict"],
            swiftSettings: settings + [.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]))
    package.products.append(.executable(name: "HTTP1Fuzz", targets: ["HTTP1Fuzz"]))
}
