/// The version of this program, as in the tags of images.
public enum CloakroomVersion {
    /// Such as `0.1.0`.
    public static let current = "0.1.0"
}
