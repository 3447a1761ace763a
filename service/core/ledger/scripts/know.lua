-- know: ARGV 2 = id, 3 = token, 4 = keys known only after parsing (JSON). Gives '' when they are now this
-- event's, the id of the event that had one of them before, or 'stale'.
local t = now()
local id = ARGV[2]
if not holds(id, ARGV[3]) then return 'stale' end
local keys = cjson.decode(ARGV[4])
for _, pair in ipairs(keys) do
  local owner = redis.call('GET', dedupe_key(pair[1]))
  if owner and owner ~= id then return owner end
end
even_when_full()
for _, pair in ipairs(keys) do own_key(id, pair, t) end
return ''
