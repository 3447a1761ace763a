-- watched: ARGV 2 = how many at the most. Gives the delivered events that are to be looked for now because a
-- second ticket may have slipped through, and sets when each is looked for next.
local t = now()
even_when_full()
local ids = redis.call('ZRANGEBYSCORE', P .. 'watch', '-inf', t, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  local times = tonumber(redis.call('HGET', event_key(id), 'watched') or '0')
  local after, before = WATCHED[times + 1], WATCHED[times]
  if after and before and get(id, 'state') == 'delivered' then
    put(id, 'watched', times + 1)
    redis.call('ZADD', P .. 'watch', t + (after - before) * 1000, id)
  else
    redis.call('ZREM', P .. 'watch', id)
  end
end
return ids
