-- resume: ARGV 2 = how many at the most. Ends a pause and brings forward what failed because of the outage.
-- Gives how many were brought forward; fewer than asked for means that none is left.
local t = now()
redis.call('DEL', P .. 'pause')
local ids = redis.call('SPOP', P .. 'outage', ARGV[2])
for _, id in ipairs(ids) do
  if get(id, 'state') == 'retrying' and get(id, 'handed') ~= '1' then set_due(id, t) end
end
wake()
return #ids
