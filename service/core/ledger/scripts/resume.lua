-- resume: ARGV 2 = how many at the most. Brings forward what failed because of an outage that is over.
-- Gives how many were brought forward; fewer than asked for means that none is left.
local t = now()
even_when_full()
local ids = redis.call('SPOP', P .. 'outage', ARGV[2])
for _, id in ipairs(ids) do
  if get(id, 'state') == 'retrying' and get(id, 'handed') ~= '1' then set_due(id, t) end
end
if #ids < tonumber(ARGV[2]) then redis.call('DEL', P .. 'resuming') end
wake()
return #ids
