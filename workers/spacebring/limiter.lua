-- The limiter: one atomic step by Redis's own clock, in microseconds. ARGV 1 = what to do.
-- KEYS 1 = a hash: `free`, the next slot nobody has; `held`, no call before it; `seen`, the clock at the last
-- step. 2 = the last calls that really began, oldest first: caller, when, how long it took (-1: not over yet).
-- 3 = the calls in flight, each by the time at which its place is free whatever became of its process.
-- 4 = a token for each place given back. Gives {'ok', wait}, {'far', wait} or {'full', 0}.
local MISSED = 5
local state, starts, flying, freed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = redis.call('HMGET', state, 'free', 'held', 'seen')
local free, held, seen = tonumber(old[1] or 0), tonumber(old[2] or 0), tonumber(old[3] or 0)

-- Lua writes large numbers as 1.7e+15.
local function whole(number) return string.format('%.0f', number) end

local function begun()
  local calls = {}
  for index, kept in ipairs(redis.call('LRANGE', starts, 0, -1)) do
    local caller, at, took = string.match(kept, '(%S+) (%S+) (%S+)')
    calls[index] = {caller = caller, at = tonumber(at), took = tonumber(took)}
  end
  return calls
end

local function keep(index, call)
  redis.call('LSET', starts, index - 1, call.caller .. ' ' .. whole(call.at) .. ' ' .. whole(call.took))
end

if now < seen then
  -- The clock was set back: all moments move with it, or everyone would wait for the old time to come again.
  local back = seen - now
  free, held = free - back, held - back
  for index, call in ipairs(begun()) do
    call.at = call.at - back
    keep(index, call)
  end
  local calls = redis.call('ZRANGE', flying, 0, -1, 'WITHSCORES')
  for index = 1, #calls, 2 do
    redis.call('ZADD', flying, whole(calls[index + 1] - back), calls[index])
  end
end

local step = {}

-- 2 = the caller, 3 = interval, 4 = the longest wait, 5 = places (0: as many as are wanted), 6 = how long a
-- call may take. A place and a slot, or neither.
function step.reserve()
  local caller, places = ARGV[2], tonumber(ARGV[5])
  redis.call('ZREMRANGEBYSCORE', flying, '-inf', whole(now))
  if places > 0 and redis.call('ZCARD', flying) >= places and not redis.call('ZSCORE', flying, caller) then
    -- What was given back until now has been taken: nobody needs to be woken for it.
    redis.call('DEL', freed)
    return {'full', 0}
  end
  local slot, wait = free, math.max(0, free - now, held - now)
  -- Workers that were busy or stood still may have missed a few slots: these are made up for, which `start` keeps
  -- within the rate. Nothing else is saved up.
  if now - free > MISSED * ARGV[3] or held > free then slot = now + wait end
  if wait > tonumber(ARGV[4]) then return {'far', wait} end
  free = slot + tonumber(ARGV[3])
  redis.call('ZADD', flying, whole(now + wait + ARGV[6]), caller)
  return {'ok', wait}
end

-- Is there a pause?
function step.look() return {'ok', math.max(0, held - now)} end

-- How long does a call take that was counted at once? As long as the quickest of the last, so far as waiting for
-- what the others took longer costs little on average; where answers always take different times it would not.
local function usual(calls, interval)
  local took = {}
  for _, call in ipairs(calls) do
    if call.took >= 0 then took[#took + 1] = call.took end
  end
  table.sort(took)
  for index, least in ipairs(took) do
    local longer = 0
    for other = index, #took do longer = longer + took[other] - least end
    if longer <= 0.2 * interval * #took then return least end
  end
  return math.huge
end

-- When may a call begin, so that the server does not count it in one window with as many as may be? `oldest` is
-- the first of them. It was counted somewhere between its begin and its end: as much later than usual, perhaps, as
-- it took longer. For one that hangs, nobody waits for more than a few intervals.
local function allowed(calls, oldest, gap, slot, interval)
  local from, own = oldest.at + gap, oldest.took >= 0 and oldest.took or now - oldest.at
  local late = own - math.min(own, usual(calls, interval))
  return math.min(from + late, math.max(slot, from) + MISSED * interval)
end

-- 2 = the caller, 3 = how many calls, 4 = in how long, 5 = interval, 6 = how long a call may take. The call leaves
-- now, unless as many began too shortly before: one that was late must not meet punctual ones in the server's window.
function step.start()
  local caller, most = ARGV[2], tonumber(ARGV[3])
  local calls = begun()
  local wait = math.max(0, held - now)
  if #calls >= most then
    local slot = (redis.call('ZSCORE', flying, caller) or now + ARGV[6]) - ARGV[6]
    local oldest = calls[#calls - most + 1]
    wait = math.max(wait, allowed(calls, oldest, tonumber(ARGV[4]), slot, tonumber(ARGV[5])) - now)
  end
  if wait == 0 then
    redis.call('RPUSH', starts, caller .. ' ' .. whole(now) .. ' -1')
    redis.call('LTRIM', starts, -most, -1)
  end
  return {'ok', math.ceil(wait)}
end

-- 2 = the caller: its place is free for who waits for one.
function step.release()
  if redis.call('ZREM', flying, ARGV[2]) == 1 then redis.call('RPUSH', freed, 1) end
  for index, call in ipairs(begun()) do
    if call.caller == ARGV[2] and call.took < 0 then
      call.took = now - call.at
      keep(index, call)
    end
  end
  return {'ok', 0}
end

-- 2 = how long nobody may begin a call; never shortens a longer pause.
function step.pause()
  held = math.max(held, now + tonumber(ARGV[2]))
  return {'ok', held - now}
end

local answer = step[ARGV[1]]()
redis.call('HSET', state, 'free', whole(free), 'held', whole(held), 'seen', whole(now))
local kept = math.ceil(math.max(0, free - now, held - now) / 1000) + 3600000
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, kept) end
return answer
