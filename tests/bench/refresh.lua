-- Refreshes one session after the other, each once, with the tokens of this thread's own file.
-- Arguments: the path of the token files without their numbers. A thread that has all its answers says so on stderr;
-- wrk itself goes on until it is interrupted.

local ffi = require("ffi")
ffi.cdef("struct syncauth_time { long seconds; long microseconds; };"
   .. "int gettimeofday(struct syncauth_time *time, void *zone);")

local threads = {}

local function now()
   local time = ffi.new("struct syncauth_time")
   ffi.C.gettimeofday(time, nil)
   return tonumber(time.seconds) + tonumber(time.microseconds) / 1e6
end

function setup(thread)
   table.insert(threads, thread)
   thread:set("number", #threads)
end

function init(arguments)
   tokens = {}
   for line in io.lines(arguments[1] .. "." .. number) do
      table.insert(tokens, line)
   end
   sent, created, refused, begun, ended = 0, 0, 0, 0, 0
   -- wrk asks the first thread for one request that it only looks at.
   looked = number ~= 1
end

function request()
   if not looked or sent == #tokens then
      looked = true
      -- Answered with 200, and not counted: the answers of other connections are still awaited.
      return wrk.format("GET", "/healthz")
   end
   if sent == 0 then
      begun = now()
   end
   sent = sent + 1
   local headers = { ["Authorization"] = "Bearer " .. tokens[sent], ["Content-Type"] = "application/json" }
   return wrk.format("POST", "/api/client/v2.0/auth/session", headers, '{"refresh_id":"' .. number .. "-" .. sent .. '"}')
end

function response(status)
   if status == 201 then
      created = created + 1
   elseif status ~= 200 then
      refused = refused + 1
   end
   if ended == 0 and created + refused == #tokens then
      ended = now()
      io.stderr:write("all answered\n")
      wrk.thread:stop()
   end
end

function done(summary, latency)
   local created, refused, begun, ended = 0, 0, math.huge, 0
   for _, thread in ipairs(threads) do
      created = created + thread:get("created")
      refused = refused + thread:get("refused")
      begun = math.min(begun, thread:get("begun"))
      ended = math.max(ended, thread:get("ended"))
   end
   io.write(string.format(
      '\n{"created": %d, "refused": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\n',
      created, refused, ended - begun, latency:percentile(50) / 1000, latency:percentile(99) / 1000
   ))
end
