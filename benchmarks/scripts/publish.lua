-- POST /v1/events with the body in the file BODY.
require("shared")

local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method = "POST"
wrk.path = "/v1/events"
wrk.headers["content-type"] = "application/json"
wrk.body = file:read("*a")
file:close()
