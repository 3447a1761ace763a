-- take: ARGV 2 = how many at the most, 3 = cap on handed-out plus leased events, 4 = handover in ms.
-- Gives id, hand-out number, id, hand-out number … The cap is global, however many dispatchers run.
local t = now()
local room = tonumber(ARGV[3]) - redis.call('ZCOUNT', P .. 'out', '(' .. t, '+inf')
local wanted = math.min(tonumber(ARGV[2]), room)
local pause = redis.call('HMGET', P .. 'pause', 'until', 'probe_ms')

if pause[1] then
  -- Half open: one event at a time tries whether Spacebring takes tickets again.
  if t < tonumber(pause[1]) then return {} end
  wanted = math.min(wanted, 1)
end

local function first(lane)
  local key = P .. 'due:' .. lane
  while true do
    local id = redis.call('ZRANGEBYSCORE', key, '-inf', t, 'LIMIT', 0, 1)[1]
    if not id or redis.call('EXISTS', event_key(id)) == 1 then return id end
    redis.call('ZREM', key, id)
    redis.call('ZREM', P .. 'out', id)
  end
end

local function next_due()
  -- A person who waits goes first; every fourth hand-out is the backlog's, so that it never starves.
  if redis.call('INCR', P .. 'turn') % 4 == 0 then
    return first('backlog') or first('person')
  end
  return first('person') or first('backlog')
end

local answer = {}
for _ = 1, wanted do
  local id = next_due()
  if not id then break end
  put(id, 'handed', 1)
  local handouts = redis.call('HINCRBY', event_key(id), 'handouts', 1)
  set_due(id, t + tonumber(ARGV[4]))
  redis.call('ZADD', P .. 'out', t + tonumber(ARGV[4]), id)
  if pause[1] then
    redis.call('HSET', P .. 'pause', 'probe', id, 'until', t + tonumber(pause[2]))
  end
  answer[#answer + 1] = id
  answer[#answer + 1] = handouts
end
return answer
