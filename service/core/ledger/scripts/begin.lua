-- begin: ARGV 2 = id, 3 = token, 4 = draft (JSON), 5 = location, 6 = summary fields (JSON). Writes ahead
-- that attempt n is being sent. Gives n, or 0 where the caller's lease is over, or where an earlier holder
-- began an attempt of which nobody knows what came: then nothing may be sent.
local t = now()
local id = ARGV[2]
if not holds(id, ARGV[3]) or get(id, 'handed') == '1' or number(id, 'lease') <= t then return 0 end
local begun = number(id, 'begun')
-- One attempt a claim: the same call again, after a lost answer, gives the same number.
if begun > 0 then return get(id, 'begun_by') == ARGV[3] and begun or 0 end
local summary = cjson.decode(ARGV[6])
even_when_full()
local attempt = redis.call('HINCRBY', event_key(id), 'attempts', 1)
redis.call('HINCRBY', event_key(id), 'tries', 1)
put(id, 'begun', attempt, 'begun_by', ARGV[3], 'begun_at', t, 'unbegun', 0, 'draft', ARGV[4], 'location', ARGV[5])
for field, value in pairs(summary) do put(id, field, value) end
log('attempts:', id, {at = t, outcome = 'sending'})
return attempt
