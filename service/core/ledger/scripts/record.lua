-- record: ARGV 2 = id, 3 = token, 4 = what happened (JSON), 5 = a nonce of the call. Gives 'ok', 'resume'
-- (Spacebring answers again after a pause) or 'stale'.
local t = now()
local id = ARGV[2]
if get(id, 'recorded') == ARGV[5] then return get(id, 'recorded_as') end
if not holds(id, ARGV[3]) then return 'stale' end

local outcome = cjson.decode(ARGV[4])
local begun = number(id, 'begun')
local began_itself = begun > 0 and get(id, 'begun_by') == ARGV[3]
local pause = redis.call('HMGET', P .. 'pause', 'until', 'probe')
even_when_full()
move(id, outcome.state, t, t + outcome.delay_ms, outcome.reason, get(id, 'worker'))

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
count(outcome.state .. ':' .. get(id, 'channel'))

local answer = 'ok'
if outcome.answered then
  redis.call('DEL', P .. 'failures')
  if redis.call('DEL', P .. 'pause') == 1 then redis.call('SET', P .. 'resuming', 1) end
  if redis.call('EXISTS', P .. 'resuming') == 1 then
    -- Until one resume has gone through: the worker that was told first may have died.
    answer = 'resume'
  else
    redis.call('DEL', P .. 'outage')
  end
elseif outcome.failing then
  if outcome.state == 'retrying' then redis.call('SADD', P .. 'outage', id) end
  local failures = redis.call('INCR', P .. 'failures')
  if pause[1] or failures >= outcome.failing.threshold then
    redis.call('HSETNX', P .. 'pause', 'since', t)
    redis.call('HSET', P .. 'pause', 'kind', outcome.failing.kind, 'why', outcome.reason,
      'probe_ms', outcome.failing.probe_ms, 'until', t + outcome.failing.probe_ms)
    redis.call('HDEL', P .. 'pause', 'probe')
  end
elseif pause[2] == id and not began_itself then
  -- The probe sent nothing, so it found out nothing: the next may try at once.
  redis.call('HSET', P .. 'pause', 'until', t)
end

put(id, 'recorded', ARGV[5], 'recorded_as', answer, 'begun', 0, 'unbegun', 0, 'lease', 0,
  'code', outcome.code, 'reason', outcome.reason)
-- A place under the cap is free.
wake()
return answer
