-- Shared by every script. ARGV[1] is the key prefix; the scripts are the only writers of the ledger,
-- and read no clock but Redis's own.
local P = ARGV[1]

local function event_key(id) return P .. 'event:' .. id end

-- Redis's clock was set back: whatever is due by the old time would wait for it to come again. Every time
-- that something waits for moves back as far.
local function set_back(by)
  -- What was listed of Spacebring's tickets would look newer than what is filed from now on.
  redis.call('DEL', P .. 'nothing', P .. 'listings')
  for _, name in ipairs({'due:person', 'due:backlog', 'out', 'unsettled', 'watch', 'receipts'}) do
    local entries = redis.call('ZRANGE', P .. name, 0, -1, 'WITHSCORES')
    for at = 1, #entries, 2 do redis.call('ZADD', P .. name, entries[at + 1] - by, entries[at]) end
  end
  local function field(key, name)
    local value = tonumber(redis.call('HGET', key, name) or '0')
    if value > 0 then redis.call('HSET', key, name, string.format('%.0f', value - by)) end
  end
  for _, id in ipairs(redis.call('ZRANGE', P .. 'out', 0, -1)) do
    for _, name in ipairs({'lease', 'deadline', 'begun_at'}) do field(event_key(id), name) end
  end
  for _, id in ipairs(redis.call('ZRANGE', P .. 'unsettled', 0, -1)) do
    for _, name in ipairs({'look_after', 'look_from'}) do field(event_key(id), name) end
  end
  for _, name in ipairs({'since', 'until'}) do field(P .. 'pause', name) end
  field(P .. 'epoch', 'at')
  local closed = redis.call('HGETALL', P .. 'closed')
  for at = 1, #closed, 2 do
    local gate = cjson.decode(closed[at + 1])
    gate.since, gate['until'] = gate.since - by, gate['until'] - by
    redis.call('HSET', P .. 'closed', closed[at], cjson.encode(gate))
  end
end

-- A step back of less than this is the slewing of a clock that is well.
local STEP = 1000

local function now()
  local time = redis.call('TIME')
  local t = time[1] * 1000 + math.floor(time[2] / 1000)
  local seen = tonumber(redis.call('GET', P .. 'clock') or '0')
  if t < seen - STEP then
    set_back(seen - t)
    redis.call('SET', P .. 'clock', t)
    redis.call('HINCRBY', P .. 'counters', 'clock set back:', 1)
  end
  return t
end

local function get(id, field) return redis.call('HGET', event_key(id), field) end

local function number(id, field) return tonumber(get(id, field) or '0') end

local function put(id, ...) redis.call('HSET', event_key(id), ...) end

-- Redis refuses a script for want of memory at its first write only, and only if that may take memory: after
-- one that cannot, the whole step goes through. So what accept was told to leave free is there to finish
-- what was begun, while accept and take fail whole. (A `#!lua flags=allow-oom` would need Redis 7.)
-- https://github.com/redis/redis/blob/7.0/src/script.c, scriptVerifyOOM
local function even_when_full() redis.call('DEL', P .. 'nothing') end

-- A write that changes nothing, for a call that repeats another: a wait for durability on this connection
-- covers all that was written before on any, but answers at once where this one has written nothing.
local function touch() redis.call('SET', P .. 'touched', 1) end

local function count(name) redis.call('HINCRBY', P .. 'counters', name, 1) end

local function dedupe_key(key) return P .. 'dedupe:' .. key end

-- Dedupe keys carry no TTL while their event is unfinished, and what is left of it afterwards.
local function expire_keys(id, finished, t)
  local received = number(id, 'received')
  for _, pair in ipairs(cjson.decode(get(id, 'keys'))) do
    local key = dedupe_key(pair[1])
    if redis.call('GET', key) == id then
      if finished then
        redis.call('PEXPIRE', key, math.max(pair[2] - (t - received), 3600000))
      else
        redis.call('PERSIST', key)
      end
    end
  end
end

-- Own a key for an event, and remember it so that it expires with the event.
local function own_key(id, pair, t)
  if not redis.call('SET', dedupe_key(pair[1]), id, 'NX') then return end
  local state = get(id, 'state')
  if not state or FINISHED[state] then redis.call('PEXPIRE', dedupe_key(pair[1]), pair[2]) end
  if state then
    local keys = cjson.decode(get(id, 'keys'))
    keys[#keys + 1] = pair
    put(id, 'keys', cjson.encode(keys))
  end
end

-- Append to a list of an event that is kept to its last 200 entries.
local function log(list, id, entry)
  redis.call('RPUSH', P .. list .. id, cjson.encode(entry))
  redis.call('LTRIM', P .. list .. id, -200, -1)
end

local function due_key(id) return P .. 'due:' .. get(id, 'lane') end

local function set_due(id, at) redis.call('ZADD', due_key(id), at, id) end

-- The event that tries for a closed location is at its end: another one that waits for it tries now.
local function hand_down(id, t)
  local place = get(id, 'location') or ''
  local gate = redis.call('HGET', P .. 'closed', place)
  if not gate or cjson.decode(gate).prober ~= id then return end
  -- Ids sort by time: the one that has waited longest.
  for _, heir in ipairs(redis.call('SORT', P .. 'waiting:' .. place, 'LIMIT', 0, 50, 'ALPHA')) do
    if get(heir, 'state') == 'retrying' and get(heir, 'handed') ~= '1' then return set_due(heir, t) end
  end
end

-- The only way to change a state, as TRANSITIONS has it for this script. A script that stops halfway has
-- written its half, so this comes before every other write of a step. `due` counts for active states only.
local function move(id, to, t, due, why, by)
  local from = get(id, 'state') or 'none'
  if not (ALLOWED[from] or {})[to] then
    error('transition ' .. from .. ' -> ' .. to .. ' is not in the table')
  end
  put(id, 'state', to, 'updated', t, 'handed', 0)
  log('history:', id, {at = t, from = from, to = to, why = why or '', by = by or ''})
  if from ~= to then
    redis.call('ZREM', P .. 'state:' .. from, id)
    redis.call('ZADD', P .. 'state:' .. to, number(id, 'received'), id)
    if from == 'dead' or to == 'dead' then redis.call('INCR', P .. 'dead:version') end
  end
  if ACTIVE[to] then
    set_due(id, due)
  else
    redis.call('ZREM', due_key(id), id)
  end
  if to ~= 'delivering' then
    redis.call('ZREM', P .. 'out', id)
    redis.call('SREM', P .. 'outage', id)
    redis.call('SREM', P .. 'waiting:' .. (get(id, 'location') or ''), id)
  end
  if to ~= 'delivering' then redis.call('SREM', P .. 'blind', id) end
  if not ACTIVE[to] then
    redis.call('ZREM', P .. 'unsettled', id)
    hand_down(id, t)
  end
  if (to == 'delivered' or to == 'dead') and get(id, 'receipt') == '1'
    and redis.call('HSETNX', event_key(id), 'owed_' .. to, t) == 1 then
    -- Whoever asked is told of either end once, however it came to it.
    redis.call('ZADD', P .. 'receipts', t, id .. ' ' .. to)
  end
  if FINISHED[to] then
    put(id, 'finished', t)
    redis.call('ZADD', P .. 'finished', t, id)
    redis.call('ZADD', P .. 'bodies', t, id)
    if redis.call('HGET', P .. 'request:' .. (get(id, 'request') or ''), 'blob') == '1' then
      redis.call('ZADD', P .. 'heavy', t, id)
    end
    expire_keys(id, true, t)
  elseif FINISHED[from] then
    redis.call('HDEL', event_key(id), 'finished')
    redis.call('ZREM', P .. 'finished', id)
    redis.call('ZREM', P .. 'bodies', id)
    redis.call('ZREM', P .. 'heavy', id)
    expire_keys(id, false, t)
  end
end

-- Sets how far back the list is to be searched for an event, if it is not set.
local function look_back(id)
  if number(id, 'look_from') ~= 0 then return end
  local begun_at = number(id, 'begun_at')
  put(id, 'look_from', begun_at > 0 and begun_at or number(id, 'received'), 'witness', get(id, 'begun_witness') or '')
end

-- An attempt may have made a ticket, or not: from here on nothing is sent for this event until a look at
-- Spacebring's list that began at `look_after` or later did not find its marker. The list is searched back to
-- the first attempt whose end is not known: to `witness`, the newest of our tickets at the time, or to a time.
local function unsettle(id, look_after)
  put(id, 'look_after', look_after, 'doubted', 1, 'code', 'unknown')
  redis.call('ZADD', P .. 'unsettled', look_after, id)
  look_back(id)
end

local function settle(id)
  put(id, 'look_after', 0)
  redis.call('ZREM', P .. 'unsettled', id)
end

-- Seconds after its delivery at which an event is looked for again, should a second ticket have slipped through.
local WATCHED = {15, 60, 600, 86400}

local function watch(id, t)
  put(id, 'watched', 1)
  redis.call('ZADD', P .. 'watch', t + WATCHED[1] * 1000, id)
end

-- The number of this server's history. It changes when the server restarts, fails over or is restored, since
-- what was written last may be gone.
local function epoch(field) return tonumber(redis.call('HGET', P .. 'epoch', field) or '0') end

-- Ask the server who it is (11 microseconds). Nothing is claimed before, so nothing is sent by what another one knew. Where nobody
-- was known there is nothing to have been forgotten. https://valkey.io/commands/info/
local function follow_history(t)
  local run_id = redis.call('INFO', 'server'):match('run_id:(%w+)') or ''
  local known = redis.call('HGET', P .. 'epoch', 'run_id')
  if known == run_id then return end
  even_when_full()
  redis.call('HSET', P .. 'epoch', 'run_id', run_id, 'at', t)
  redis.call('HINCRBY', P .. 'epoch', 'number', known and 1 or 0)
end

-- The attempt that was written ahead as `sending` becomes what came of it.
local function close_attempt(id, attempt)
  attempt.at = number(id, 'begun_at')
  if redis.call('EXISTS', P .. 'attempts:' .. id) == 1 then
    redis.call('LSET', P .. 'attempts:' .. id, -1, cjson.encode(attempt))
  else
    log('attempts:', id, attempt)
  end
end

local function wake()
  redis.call('LPUSH', P .. 'wake', 1)
  redis.call('LTRIM', P .. 'wake', 0, 0)
end

-- Does the caller hold the event? Only the latest token writes.
local function holds(id, token)
  return get(id, 'state') == 'delivering' and get(id, 'token') == token
end
