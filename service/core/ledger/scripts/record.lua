-- record: ARGV 2 = id, 3 = token, 4 = what happened (JSON), 5 = a nonce of the call. Gives 'ok', 'resume'
-- (Spacebring answers again after a pause) or 'stale'.
local t = now()
local id = ARGV[2]
if redis.call('HGET', event_key(id), 'recorded') == ARGV[5] then return 'ok' end
if not holds(id, ARGV[3]) then return 'stale' end

local outcome = cjson.decode(ARGV[4])
local answer = 'ok'
local begun = number(id, 'begun')

if outcome.attempt then
  local attempt = outcome.attempt
  attempt.at = t
  if begun > 0 then
    attempt.at = number(id, 'begun_at')
    redis.call('LSET', P .. 'attempts:' .. id, -1, cjson.encode(attempt))
  else
    log('attempts:', id, attempt)
  end
end
if outcome.uncounted and begun > 0 then redis.call('HINCRBY', event_key(id), 'tries', -1) end

put(id, 'recorded', ARGV[5], 'begun', 0, 'unbegun', 0, 'lease', 0,
  'code', outcome.code or '', 'reason', outcome.reason or '')
for field, value in pairs(outcome.fields or {}) do put(id, field, value) end
move(id, outcome.state, t, t + (outcome.delay_ms or 0), outcome.reason, get(id, 'worker'))
count(outcome.state .. ':' .. get(id, 'channel'))

if outcome.answered then
  redis.call('DEL', P .. 'failures')
  if redis.call('DEL', P .. 'pause') == 1 then answer = 'resume' end
end
if outcome.failing then
  redis.call('SADD', P .. 'outage', id)
  local failures = redis.call('INCR', P .. 'failures')
  if failures >= outcome.failing.threshold then
    redis.call('HSETNX', P .. 'pause', 'since', t)
    redis.call('HSET', P .. 'pause', 'kind', outcome.failing.kind, 'why', outcome.reason or '',
      'probe_ms', outcome.failing.probe_ms, 'until', t + outcome.failing.probe_ms)
    redis.call('HDEL', P .. 'pause', 'probe')
  end
end
return answer
