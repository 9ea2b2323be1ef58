-- Prints what wrk measured as one line of JSON. A failed request is one that got no answer, or one with a status above 399.
-- wrk stops with requests under way; these are neither done nor failed.
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'figures: {"requests": %d, "failed": %d, "req_s": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "p999_ms": %.3f}\n',
    summary.requests,
    e.connect + e.read + e.write + e.timeout + e.status,
    summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3
  ))
end
