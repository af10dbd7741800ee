-- Headers of every request, and the one line of JSON that load.py reads.
wrk.headers["authorization"] = "Bearer " .. os.getenv("TOKEN")

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests_per_second":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"requests":%d,"failed":%d,"broken":%d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
