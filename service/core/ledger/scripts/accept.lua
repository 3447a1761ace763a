-- accept: ARGV 2 = the request and its parts (JSON), 3 = the body (empty where it is in the blob store).
-- Gives {id, 'new'|'duplicate'} for each part. A repeat also writes, so that a wait for durability
-- on this connection covers the original.
local t = now()
local request = cjson.decode(ARGV[2])
local answer = {}
local kept = 0
-- What comes first after a restart is not from before it.
follow_history(t)
-- What comes from the spool was received a while ago, by a clock that is not Redis's.
local received = math.min(request.received or t, t)

local function create(part)
  local id = part.id
  put(id, 'id', id, 'marker', part.marker, 'channel', request.channel, 'source', request.source,
    'lane', request.lane, 'state', 'queued', 'received', received, 'updated', t, 'request', request.id,
    'slice', part.slice, 'keys', '[]', 'dedupe', part.shown, 'token', 0, 'lease', 0, 'deadline', 0,
    'handed', 0, 'handouts', 0, 'unbegun', 0, 'attempts', 0, 'tries', 0, 'begun', 0, 'repeats', 0,
    'force', 0, 'body', 1, 'reason', '', 'code', '', 'epoch', epoch('number'))
  if request.receipt then put(id, 'receipt', 1) end
  for _, pair in ipairs(part.keys) do own_key(id, pair, t) end
  redis.call('ZADD', P .. 'events', received, id)
  redis.call('ZADD', P .. 'state:queued', received, id)
  redis.call('ZADD', P .. 'channel:' .. request.channel, received, id)
  log('history:', id, {at = t, from = '', to = 'queued', why = 'accepted', by = ''})
  set_due(id, t)
  count('accepted:' .. request.channel)
  kept = kept + 1
end

-- The event that has this part already. From the spool the same part may come again, however late.
local function owner(part)
  if request.received then
    if redis.call('EXISTS', event_key(part.id)) == 1 then return part.id end
    local first = redis.call('GET', P .. 'alias:' .. part.id)
    if first then return first end
  end
  local found = false
  for _, pair in ipairs(part.keys) do
    found = found or redis.call('GET', dedupe_key(pair[1]))
  end
  return found
end

-- The sender was told this id: it goes on finding the event, for as long as a repeat does.
local function alias(part, first)
  local life = 0
  for _, pair in ipairs(part.keys) do life = math.max(life, pair[2]) end
  redis.call('SET', P .. 'alias:' .. part.id, first, 'PX', life)
end

for _, part in ipairs(request.parts) do
  local found = owner(part)
  if found and found ~= part.id then
    for _, pair in ipairs(part.keys) do own_key(found, pair, t) end
    if redis.call('EXISTS', event_key(found)) == 1 then
      redis.call('HINCRBY', event_key(found), 'repeats', 1)
    end
    if request.received then alias(part, found) end
    count('duplicate:' .. request.channel)
    answer[#answer + 1] = {found, 'duplicate'}
  else
    -- The same id again is our own call, repeated after a lost answer.
    if found then touch() else create(part) end
    answer[#answer + 1] = {part.id, 'new'}
  end
end

if kept > 0 then
  redis.call('HSET', P .. 'request:' .. request.id, 'meta', request.meta, 'body', ARGV[3],
    'blob', request.blob and 1 or 0, 'refs', kept)
  wake()
end
return cjson.encode(answer)
