// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "HummingbirdSessions",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "cloakroom", path: "../../..", traits: ["Hummingbird"])],
    targets: [
        .executableTarget(
            name: "HummingbirdSessions",
            dependencies: [
                .product(name: "Cloakroom", package: "cloakroom"),
                .product(name: "CloakroomHTTP", package: "cloakroom"),
                .product(name: "CloakroomHummingbird", package: "cloakroom"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
