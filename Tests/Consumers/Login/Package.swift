// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Login",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "cloakroom", path: "../../..", traits: ["OIDC"])],
    targets: [
        .executableTarget(
            name: "Login",
            dependencies: [
                .product(name: "Cloakroom", package: "cloakroom"),
                .product(name: "CloakroomHTTP", package: "cloakroom"),
                .product(name: "CloakroomOIDC", package: "cloakroom"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
