-- renew: ARGV 2 = id, 3 = token, 4 = lease in ms. Gives 1, or 0 where the caller no longer holds the event
-- or its job has reached its hard limit.
local t = now()
local id = ARGV[2]
if not holds(id, ARGV[3]) or get(id, 'handed') == '1' then return 0 end
local lease = math.min(t + tonumber(ARGV[4]), number(id, 'deadline'))
if lease <= t then return 0 end
even_when_full()
put(id, 'lease', lease)
set_due(id, lease)
redis.call('ZADD', P .. 'out', lease, id)
return 1
