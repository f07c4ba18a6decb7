// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "SQLiteSessionStore",
    platforms: [.macOS(.v15)],
    products: [.library(name: "SQLiteSessionStore", targets: ["SQLiteSessionStore"])],
    dependencies: [
        .package(name: "cloakroom", path: "../.."),
        // Builds against the system's SQLite: on Debian install libsqlite3-dev.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.10.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.9.0"),
    ],
    targets: [
        .target(
            name: "SQLiteSessionStore",
            dependencies: [
                .product(name: "Cloakroom", package: "cloakroom"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "SQLiteSessionStoreTests",
            dependencies: [
                "SQLiteSessionStore",
                .product(name: "Cloakroom", package: "cloakroom"),
                .product(name: "CloakroomTesting", package: "cloakroom"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
