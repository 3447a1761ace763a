-- record: ARGV 2 = id, 3 = token, 4 = what happened (JSON), 5 = a nonce of the call. Gives 'ok', 'resume'
-- (Spacebring answers again after a pause) or 'stale'.
local t = now()
local id = ARGV[2]
if get(id, 'recorded') == ARGV[5] then return get(id, 'recorded_as') end
if not holds(id, ARGV[3]) then return 'stale' end

local outcome = cjson.decode(ARGV[4])
local begun = number(id, 'begun')
local began_itself = begun > 0 and get(id, 'begun_by') == ARGV[3]
local pause = redis.call('HMGET', P .. 'pause', 'until', 'probe', 'probe_ms')
local in_outage = redis.call('SISMEMBER', P .. 'outage', id) == 1
even_when_full()
move(id, outcome.state, t, t + outcome.delay_ms, outcome.reason, get(id, 'worker'))
if outcome.state == 'retrying' and begun == 0 and not outcome.attempt then
  -- Handed back once more for the same reason: that is the same wait, or it would fill the history.
  local before = redis.call('LINDEX', P .. 'history:' .. id, -3)
  before = before and cjson.decode(before)
  if before and before.to == 'retrying' and before.why == outcome.reason then
    redis.call('LTRIM', P .. 'history:' .. id, 0, -3)
  end
end

if begun > 0 then
  close_attempt(id, outcome.attempt or {outcome = outcome.state})
elseif outcome.attempt then
  outcome.attempt.at = t
  log('attempts:', id, outcome.attempt)
end
-- In a pause only probes are sent: they find out about Spacebring, and do not count against the event.
if begun > 0 and (outcome.uncounted or (outcome.failing and pause[1])) then
  redis.call('HINCRBY', event_key(id), 'tries', -1)
end
for field, value in pairs(outcome.fields or {}) do put(id, field, value) end
local location = get(id, 'location') or ''
if outcome.grace_ms then unsettle(id, t + outcome.grace_ms) end
if outcome.state == 'delivered' then
  settle(id)
  local ours = P .. 'ours:' .. location
  redis.call('LPUSH', ours, get(id, 'marker') .. ' ' .. outcome.fields.ticket_id)
  redis.call('LTRIM', ours, 0, 9)
  if get(id, 'doubted') == '1' then watch(id, t) end
elseif outcome.state == 'retrying' and number(id, 'look_after') > 0 and in_outage then
  -- It only looked: what it waits for is still the end of the outage.
  redis.call('SADD', P .. 'outage', id)
end
if outcome.waits then
  if redis.call('HEXISTS', P .. 'closed', location) == 1 then
    redis.call('SADD', P .. 'waiting:' .. location, id)
  else
    -- It was opened while this one was told that it is closed.
    set_due(id, t)
  end
end
if outcome.stuck and outcome.state == 'retrying' then redis.call('SADD', P .. 'blind', id) end
count(outcome.state .. ':' .. get(id, 'channel'))

-- Half open for one event at a time: `prober`. Says whether the location was closed before.
local function close(place, why, probe_ms, at, prober)
  local before = redis.call('HGET', P .. 'closed', place)
  redis.call('HSET', P .. 'closed', place, cjson.encode({why = why, since = before and cjson.decode(before).since or at,
    ['until'] = at + probe_ms, probe_ms = probe_ms, prober = prober}))
  return before and true or false
end

local answer = 'ok'
if outcome.answered then
  redis.call('DEL', P .. 'failures')
  local opened = redis.call('HDEL', P .. 'closed', location) == 1
  if opened then
    redis.call('SUNIONSTORE', P .. 'outage', P .. 'outage', P .. 'waiting:' .. location)
    redis.call('DEL', P .. 'waiting:' .. location)
  end
  if redis.call('DEL', P .. 'pause') == 1 or opened then redis.call('SET', P .. 'resuming', 1) end
  if redis.call('EXISTS', P .. 'resuming') == 1 then
    -- Until one resume has gone through: the worker that was told first may have died.
    answer = 'resume'
  else
    redis.call('DEL', P .. 'outage')
  end
elseif outcome.failing then
  local failing, known = outcome.failing, false
  if failing.location then
    known = close(failing.location, outcome.reason, failing.probe_ms, t, id)
    redis.call('SADD', P .. 'waiting:' .. failing.location, id)
  elseif outcome.state == 'retrying' then
    redis.call('SADD', P .. 'outage', id)
  end
  -- A location that is closed already says nothing new about the others.
  local failures = known and 0 or redis.call('INCR', P .. 'failures')
  if pause[1] or failures >= failing.threshold then
    redis.call('HSETNX', P .. 'pause', 'since', t)
    redis.call('HSET', P .. 'pause', 'kind', failing.kind, 'why', outcome.reason, 'probe_ms', failing.probe_ms,
      'until', t + failing.probe_ms, 'location', failing.location or '')
    redis.call('HDEL', P .. 'pause', 'probe')
  end
elseif pause[2] == id and not began_itself then
  -- The probe sent nothing, so it found out nothing: the next may try at once, unless this one would
  -- do the same again.
  redis.call('HSET', P .. 'pause', 'until', t + (outcome.stuck and tonumber(pause[3]) or 0))
end

put(id, 'recorded', ARGV[5], 'recorded_as', answer, 'begun', 0, 'unbegun', 0, 'lease', 0,
  'code', outcome.code, 'reason', outcome.reason)
-- A place under the cap is free.
wake()
return answer
