-- accept: ARGV 2 = the request and its parts (JSON), 3 = the body (empty where it is in the blob store).
-- Gives {id, 'new'|'duplicate'} for each part. A repeat also writes, so that a wait for durability
-- on this connection covers the original.
local t = now()
local request = cjson.decode(ARGV[2])
local answer = {}
local kept = 0
if epoch('number') == 0 then
  -- The keys were deleted under connections that stand.
  local run_id = redis.call('INFO', 'server'):match('run_id:(%w+)')
  redis.call('HSET', P .. 'epoch', 'run_id', run_id, 'number', 1, 'at', t)
end

local function create(part)
  local id = part.id
  put(id, 'id', id, 'marker', part.marker, 'channel', request.channel, 'source', request.source,
    'lane', request.lane, 'state', 'queued', 'received', t, 'updated', t, 'request', request.id,
    'slice', part.slice, 'keys', '[]', 'dedupe', part.shown, 'token', 0, 'lease', 0, 'deadline', 0,
    'handed', 0, 'handouts', 0, 'unbegun', 0, 'attempts', 0, 'tries', 0, 'begun', 0, 'repeats', 0,
    'force', 0, 'body', 1, 'reason', '', 'code', '', 'epoch', epoch('number'))
  for _, pair in ipairs(part.keys) do own_key(id, pair, t) end
  redis.call('ZADD', P .. 'events', t, id)
  redis.call('ZADD', P .. 'state:queued', t, id)
  redis.call('ZADD', P .. 'channel:' .. request.channel, t, id)
  log('history:', id, {at = t, from = '', to = 'queued', why = 'accepted', by = ''})
  set_due(id, t)
  count('accepted:' .. request.channel)
  kept = kept + 1
end

for _, part in ipairs(request.parts) do
  local found = false
  for _, pair in ipairs(part.keys) do
    found = found or redis.call('GET', dedupe_key(pair[1]))
  end
  if found and found ~= part.id then
    for _, pair in ipairs(part.keys) do own_key(found, pair, t) end
    if redis.call('EXISTS', event_key(found)) == 1 then
      redis.call('HINCRBY', event_key(found), 'repeats', 1)
    end
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
