-- begin: ARGV 2 = id, 3 = token, 4 = draft (JSON), 5 = location, 6 = summary fields (JSON), 7 = when the look
-- began that did not find the event's marker (ms, 0 for none). Writes ahead that attempt n is being sent.
-- Gives {'begun', n}; {'closed', ms, why} where delivery to this location is paused and this event is to try again
-- after so long, {'closed', -1, why} where another one tries for all; or {'stale'}
-- where the caller's lease is over, an earlier attempt may have made a ticket and no look late enough says
-- otherwise, or an earlier holder began one: then nothing may be sent.
local t = now()
local id = ARGV[2]
if not holds(id, ARGV[3]) or get(id, 'handed') == '1' or number(id, 'lease') <= t then return {'stale'} end
local begun = number(id, 'begun')
-- One attempt a claim: the same call again, after a lost answer, gives the same number.
if begun > 0 then
  if get(id, 'begun_by') ~= ARGV[3] then return {'stale'} end
  even_when_full()
  touch()
  return {'begun', begun}
end
local look_after = number(id, 'look_after')
if look_after > 0 and tonumber(ARGV[7]) < look_after then return {'stale'} end

local gate = redis.call('HGET', P .. 'closed', ARGV[5])
if gate then
  gate = cjson.decode(gate)
  if t < gate['until'] then
    local other = gate.prober ~= id and ACTIVE[get(gate.prober, 'state') or '']
    if other then return {'closed', -1, gate.why} end
    even_when_full()
    gate.prober = id
    redis.call('HSET', P .. 'closed', ARGV[5], cjson.encode(gate))
    return {'closed', gate['until'] - t, gate.why}
  end
end
local summary = cjson.decode(ARGV[6])
even_when_full()
if gate then
  -- Half open: this one finds out whether the location takes tickets again.
  gate['until'], gate.prober = t + gate.probe_ms, id
  redis.call('HSET', P .. 'closed', ARGV[5], cjson.encode(gate))
end
local attempt = redis.call('HINCRBY', event_key(id), 'attempts', 1)
redis.call('HINCRBY', event_key(id), 'tries', 1)
settle(id)
put(id, 'begun', attempt, 'begun_by', ARGV[3], 'begun_at', t, 'unbegun', 0, 'draft', ARGV[4], 'location', ARGV[5],
  'epoch', epoch('number'), 'begun_witness', (redis.call('LINDEX', P .. 'ours:' .. ARGV[5], 0) or ' '):match('^%S* (.*)$'))
for field, value in pairs(summary) do put(id, field, value) end
log('attempts:', id, {at = t, outcome = 'sending'})
return {'begun', attempt}
