-- take: ARGV 2 = how many at the most, 3 = cap on handed-out plus leased events, 4 = handover in ms.
-- Gives id, hand-out number, lane, id, hand-out number, lane … The cap is global, however many dispatchers run.
local t = now()
local most = tonumber(ARGV[2])
local handover = t + tonumber(ARGV[4])
redis.call('SET', P .. 'clock', t)
follow_history(t)
local pause = redis.call('HMGET', P .. 'pause', 'until', 'probe_ms', 'location')
if pause[1] then
  -- Half open: one event at a time tries whether Spacebring takes tickets again.
  if t < tonumber(pause[1]) then return {} end
  most = math.min(most, 1)
end

local answer = {}

local function hand_out(id)
  put(id, 'handed', 1)
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HINCRBY', event_key(id), 'handouts', 1)
  answer[#answer + 1] = get(id, 'lane')
  set_due(id, handover)
  redis.call('ZADD', P .. 'out', handover, id)
  if pause[1] then
    redis.call('HSET', P .. 'pause', 'probe', id, 'until', t + tonumber(pause[2]))
  end
end

-- What the server lost (evicted, deleted by hand) must not stand in the way of the rest.
local function exists(id, key)
  if redis.call('EXISTS', event_key(id)) == 1 then return true end
  redis.call('ZREM', key, id)
  return false
end

-- Where one location is refused, a probe elsewhere shows whether the others are too.
local LOOKED_AT = 50
local refused = pause[1] and pause[3] ~= '' and pause[3]

local function at_refused(id) return refused and get(id, 'location') == refused end

local function elsewhere(key)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', t, 'LIMIT', 0, LOOKED_AT)) do
    if exists(id, key) and not at_refused(id) then return id end
  end
end

local function first(lane)
  local key = P .. 'due:' .. lane
  local id = refused and elsewhere(key)
  while not id do
    id = redis.call('ZRANGEBYSCORE', key, '-inf', t, 'LIMIT', 0, 1)[1]
    if not id then return nil end
    if not exists(id, key) then id = nil end
  end
  return id
end

local function next_due()
  -- A person who waits goes first; every fourth hand-out is the backlog's, so that it never starves.
  if tonumber(redis.call('GET', P .. 'turn') or '0') % 4 == 3 then
    return first('backlog') or first('person')
  end
  return first('person') or first('backlog')
end

local function failed_in_outage()
  for _, id in ipairs(redis.call('SRANDMEMBER', P .. 'outage', 10)) do
    -- One that has to wait before it is looked for again would find out nothing.
    local ready = number(id, 'look_after') <= t and not at_refused(id)
    if ready and get(id, 'state') == 'retrying' and get(id, 'handed') ~= '1' then return id end
  end
end

-- Lost jobs and dead workers first, or they would queue up behind the whole backlog. They have their
-- place under the cap already.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'out', '-inf', t, 'LIMIT', 0, most)) do
  if exists(id, P .. 'out') then hand_out(id) end
end

local room = tonumber(ARGV[3]) - redis.call('ZCARD', P .. 'out')
for _ = 1, math.min(most - #answer / 3, room) do
  -- In a pause, what failed because of it need not wait out its back-off to find out whether it is over; an
  -- event of which nothing was sent yet need not become uncertain for that.
  local id = (pause[1] and failed_in_outage()) or next_due()
  if not id then break end
  hand_out(id)
  redis.call('INCR', P .. 'turn')
end
return answer
