// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// Products of packages, named once.
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "cloakroom",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Cloakroom", targets: ["Cloakroom"]),
        .library(name: "CloakroomRedis", targets: ["CloakroomRedis"]),
        .library(name: "CloakroomOIDC", targets: ["CloakroomOIDC"]),
        .library(name: "CloakroomHTTP", targets: ["CloakroomHTTP"]),
        .library(name: "CloakroomHummingbird", targets: ["CloakroomHummingbird"]),
        .library(name: "CloakroomGateway", targets: ["CloakroomGateway"]),
        .library(name: "CloakroomTesting", targets: ["CloakroomTesting"]),
        // Underscored: for our own benchmarks only, no promise of a stable API.
        .library(name: "_CloakroomRedisClient", targets: ["CloakroomRedisClient"]),
        .executable(name: "cloakroom", targets: ["CloakroomCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0",
            traits: [.defaults, "CommandLineArguments"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.10.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.7.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.97.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.25.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.0.0"),
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
        .target(name: "CloakroomRedisClient", dependencies: [deque, logging, nioCore, nioPosix, nioSSL]),
        .target(
            name: "CloakroomRedis",
            dependencies: ["Cloakroom", "CloakroomRedisClient", crypto, deque, logging, metrics, nioCore, lifecycle]),
        // The relying party.
        .target(
            name: "CloakroomOIDC",
            dependencies: ["Cloakroom", crypto, cryptoExtras, httpClient, lifecycle, logging, nioCore, nioHTTP1]),
        // What HTTP means for sessions, login and logout: no framework, no socket.
        .target(name: "CloakroomHTTP", dependencies: ["Cloakroom", crypto, httpTypes, logging]),
        .target(
            name: "CloakroomHummingbird",
            dependencies: ["Cloakroom", "CloakroomHTTP", hummingbird, httpTypes, nioCore]),
        .target(
            name: "CloakroomGateway",
            dependencies: [
                "Cloakroom", "CloakroomRedis", "CloakroomOIDC", "CloakroomHTTP", configuration, hummingbird,
                httpClient, httpTypes, lifecycle, logging, metrics, mustache, nioCore, nioHTTP1, nioHTTPTypes,
                nioPosix, systemPackage,
            ]),
        // A small OpenID provider for demo and tests; never in serve's path.
        .target(
            name: "DevIdentityProvider",
            dependencies: [
                "Cloakroom", crypto, cryptoExtras, hummingbird, httpTypes, jwtKit, lifecycle, logging, nioCore,
            ]),
        .executableTarget(
            name: "CloakroomCLI",
            dependencies: [
                "Cloakroom", "CloakroomGateway", "CloakroomRedis", "DevIdentityProvider", argumentParser,
                configuration, hummingbird, httpClient, httpTypes, jwtKit, lifecycle, logging, nioCore,
                nioHTTP1, nioPosix, subprocess, systemPackage, unixSignals,
            ]),
        // The conformance suite that every store must pass.
        .target(name: "CloakroomTesting", dependencies: ["Cloakroom"]),

        // What several test targets share.
        .target(name: "TestSupport", dependencies: [logging, coreMetrics], path: "Tests/TestSupport"),
        .testTarget(
            name: "CloakroomTests",
            dependencies: [
                "Cloakroom", "CloakroomTesting", "CZlib", "TestSupport", crypto, logging,
            ]),
        .testTarget(
            name: "CloakroomRedisClientTests",
            dependencies: ["CloakroomRedisClient", logging, nioCore, nioEmbedded, nioPosix]),
        .testTarget(
            name: "CloakroomRedisTests",
            dependencies: ["Cloakroom", "CloakroomRedis", "CloakroomRedisClient", "TestSupport", logging, nioCore]),
        .testTarget(
            name: "CloakroomOIDCTests",
            dependencies: [
                "Cloakroom", "CloakroomOIDC", crypto, cryptoExtras, httpClient, hummingbird, httpTypes, jwtKit,
                lifecycle, logging, nioCore,
            ]),
        .testTarget(
            name: "CloakroomHTTPTests",
            dependencies: ["Cloakroom", "CloakroomHTTP", crypto, httpTypes, logging]),
        .testTarget(
            name: "CloakroomHummingbirdTests",
            dependencies: [
                "Cloakroom", "CloakroomHTTP", "CloakroomHummingbird", hummingbird, hummingbirdTesting, httpTypes,
                logging, nioCore,
            ]),
        .testTarget(
            name: "CloakroomGatewayTests",
            dependencies: [
                "Cloakroom", "CloakroomGateway", "CloakroomHTTP", "CloakroomOIDC", "DevIdentityProvider",
                configuration, hummingbird, hummingbirdTesting, httpClient, httpTypes, lifecycle, logging, nioCore,
                nioHTTP1,
            ]),
        .testTarget(
            name: "DevIdentityProviderTests",
            dependencies: [
                "DevIdentityProvider", crypto, hummingbird, hummingbirdTesting, httpClient, httpTypes, jwtKit,
                lifecycle,
                logging, nioCore, nioHTTP1,
            ]),
        .testTarget(
            name: "CloakroomCLITests",
            dependencies: [
                "CloakroomCLI", "DevIdentityProvider", crypto, hummingbird, httpClient, httpTypes, lifecycle, logging,
                nioCore, nioHTTP1, nioPosix, subprocess, systemPackage,
            ]),
        // Real servers, started and stopped by the tests.
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Cloakroom", "CloakroomOIDC", "CloakroomRedis", "CloakroomRedisClient", "CloakroomTesting",
                "TestSupport",
                crypto, logging, nioCore, nioPosix, subprocess,
            ]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = settings
}
