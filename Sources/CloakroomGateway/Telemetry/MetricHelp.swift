/// What the metrics mean that are reported through swift-metrics, which has no place for it.
enum MetricHelp {
    static let texts: [String: String] = [
        "cloakroom_session_events_total": "What happened to sessions.",
        "cloakroom_refreshes_total": "Refreshes of sessions' tokens.",
        "cloakroom_refresh_duration_seconds": "How long refreshes took, waits for other replicas included.",
        "cloakroom_refresh_lease_wait_seconds": "How long refreshes waited for another replica's.",
        "cloakroom_provider_request_duration_seconds": "How long the identity provider took to answer.",
        "cloakroom_redis_command_duration_seconds": "How long commands to Redis took, retries included.",
        "cloakroom_redis_command_errors_total": "Commands to Redis that failed.",
        "cloakroom_redis_connections_opened_total": "Connections to Redis that were made.",
        "cloakroom_redis_connections_lost_total": "Connections to Redis that were lost, or could not be made.",
        "cloakroom_near_cache_hits_total": "Reads that the near cache answered.",
        "cloakroom_near_cache_misses_total": "Reads that the near cache could not answer.",
        "cloakroom_near_cache_invalidations_total": "Sessions dropped because Redis reported a change.",
        "cloakroom_near_cache_evictions_total": "Sessions dropped to make room.",
        "cloakroom_hybrid_secondary_failures_total": "Calls on which the secondary store failed.",
        "cloakroom_session_records_unreadable_total": "Reads of records that are not valid sessions.",
        "cloakroom_log_lines_dropped_total": "Log lines dropped, as they could not be written in time.",
        "cloakroom_audit_lines_lost_total": "Audit lines that could not be written.",
    ]
}
