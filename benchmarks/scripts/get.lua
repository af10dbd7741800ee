-- events.get by an id picked at random from the file IDS, one a line.
require("shared")

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local requests = {}

function init(arguments)
  for id in io.lines(os.getenv("IDS")) do
    requests[#requests + 1] = wrk.format("GET", "/trpc/events.get?input=%7B%22eventId%22%3A%22" .. id .. "%22%7D")
  end
  math.randomseed(number + 1)
end

function request()
  return requests[math.random(#requests)]
end
