-- events.list of the newest 100.
require("shared")

wrk.path = "/trpc/events.list?input=%7B%22limit%22%3A100%7D"
