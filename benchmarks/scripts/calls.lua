-- Calls with one token: POST with the text of the file BODY if it is set, else GET. The file PATHS has one path per
-- line; each call chooses one at random, and one of the WORKSPACES, which are separated by spaces.
wrk.headers["authorization"] = "Bearer " .. os.getenv("TOKEN")

if os.getenv("BODY") then
  local file = assert(io.open(os.getenv("BODY"), "rb"))
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  wrk.body = file:read("*a")
  file:close()
end

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local requests = {}

function init(arguments)
  for path in io.lines(os.getenv("PATHS")) do
    if os.getenv("WORKSPACES") == "" then
      requests[#requests + 1] = wrk.format(nil, path)
    end
    for workspace in os.getenv("WORKSPACES"):gmatch("%S+") do
      wrk.headers["x-workspace-id"] = workspace
      requests[#requests + 1] = wrk.format(nil, path)
    end
  end
  math.randomseed(number + 1)
end

function request()
  return requests[math.random(#requests)]
end

-- Prints the line of JSON that load.py reads.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests_per_second":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"requests":%d,"failed":%d,"broken":%d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
