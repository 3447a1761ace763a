-- purge: ARGV 2 = age in ms after finishing at which bodies go, 3 = the same for summaries, 4 = how many at
-- the most, 5 = events whose bodies go now, to make room (JSON). Finished events only. Gives how many bodies went
-- for room, then the ids of requests whose blob may go.
local t = now()
local blobs = {}
local made = 0

local function drop_body(id)
  redis.call('ZREM', P .. 'bodies', id)
  redis.call('ZREM', P .. 'heavy', id)
  local request = get(id, 'request')
  -- What the server lost (evicted, deleted by hand) must not stand in the way of the rest.
  if not request then return end
  put(id, 'body', 0)
  local key = P .. 'request:' .. request
  -- The events of a batch share one request: it stays while any of them needs it.
  if redis.call('HINCRBY', key, 'refs', -1) <= 0 then
    if redis.call('HGET', key, 'blob') == '1' then blobs[#blobs + 1] = request end
    redis.call('DEL', key)
  end
end

local function aged(set, age)
  return redis.call('ZRANGEBYSCORE', P .. set, '-inf', t - tonumber(age), 'LIMIT', 0, ARGV[4])
end

local function drop_for_good(id)
  redis.call('HDEL', event_key(id), 'draft')
  drop_body(id)
end

for _, id in ipairs(cjson.decode(ARGV[5])) do
  -- Perhaps somebody has replayed it by now. The draft stays: it is small, and a look for a second ticket may
  -- come for it.
  if redis.call('ZSCORE', P .. 'bodies', id) then
    drop_body(id)
    made = made + 1
  end
end
for _, id in ipairs(aged('bodies', ARGV[2])) do drop_for_good(id) end
for _, id in ipairs(aged('finished', ARGV[3])) do
  if redis.call('ZSCORE', P .. 'bodies', id) then drop_for_good(id) end
  redis.call('ZREM', P .. 'finished', id)
  redis.call('ZREM', P .. 'events', id)
  redis.call('ZREM', P .. 'alarms', id)
  redis.call('ZREM', P .. 'state:' .. (get(id, 'state') or ''), id)
  redis.call('ZREM', P .. 'channel:' .. (get(id, 'channel') or ''), id)
  redis.call('DEL', event_key(id), P .. 'history:' .. id, P .. 'attempts:' .. id)
end
return {made, unpack(blobs)}
