-- For wrk: posts BENCH_BODY with the lines of BENCH_HEADERS; each request has an id of its own in place of @ID@.
local before, after = os.getenv("BENCH_BODY"):match("^(.*)@ID@(.*)$")
local id = 0

wrk.method = "POST"
for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end

function request()
  id = id + 1
  return wrk.format(nil, nil, nil, before .. id .. after)
end
