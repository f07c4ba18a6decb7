extension Setting {
    private static let span: ClosedRange<Duration> = .seconds(1) ... .seconds(3600)

    static let limits = [
        Setting(
            "MAX_CONNECTIONS", .limits, \.limits.connections, .number(1...1_000_000),
            "connections of clients at once; more are closed at once, and idle ones sooner when most are taken"),
        Setting(
            "MAX_CONNECTIONS_PER_ADDRESS", .limits, \.limits.connectionsPerAddress,
            SettingForm<Int>.number(1...1_000_000).orOff,
            "of one client address; more are closed at once. Not behind a proxy, whose address all have"),
        Setting(
            "KEEP_ALIVE_TIMEOUT", .limits, \.limits.keepAliveTime, .time(span, example: "75s"),
            "how long a connection may be idle between two requests; then it is closed"),
        Setting(
            "KEEP_ALIVE_MAX_REQUESTS", .limits, \.limits.keepAliveRequests,
            SettingForm<Int>.number(1...1_000_000).orOff,
            "requests on one connection; the last is answered with Connection: close"),
        Setting(
            "REQUEST_HEADER_MAX_BYTES", .limits, \.limits.headerBytes, .size(4 << 10...1 << 20, example: "64K"),
            "the size of a request's head, start line included; then 431"),
        Setting(
            "REQUEST_HEADER_TIMEOUT", .limits, \.limits.headerTime, .time(span, example: "30s"),
            "how long a request's head may take, from its first byte; then 408"),
        Setting(
            "REQUEST_BODY_MAX_BYTES", .limits, \.limits.bodyBytes,
            SettingForm<Int>.size(1 << 10...1 << 40, example: "10M").orOff,
            "the size of a request's body; then 413"),
        Setting(
            "REQUEST_BODY_TIMEOUT", .limits, \.limits.bodyTime, .time(span, example: "60s"),
            "how long a request's body may stand still; then 408"),
        Setting(
            "REQUEST_BODY_MIN_RATE", .limits, \.limits.bodyRate, SettingForm<Int>.number(1...1_000_000).orOff,
            "bytes a second that a body must bring, once REQUEST_BODY_TIMEOUT is used up; then 408"),
        Setting(
            "SEND_TIMEOUT", .limits, \.limits.sendTime, .time(span, example: "60s"),
            "how long a client may take nothing of its response; then it is cut off"),
        Setting(
            "EVENTS_MAX_PER_SESSION", .limits, \.limits.eventStreamsPerSession, .number(1...1000),
            "event streams (/auth/events) of one session on one replica; more get 429"),
    ]
}
