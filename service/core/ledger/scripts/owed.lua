-- owed: ARGV 2 = for how long in ms nobody else gets it. Gives 'event state' of a receipt that is due, or
-- false. It comes due again after that time, unless it is `told`: whoever has it may die.
local t = now()
local owed = redis.call('ZRANGEBYSCORE', P .. 'receipts', '-inf', t, 'LIMIT', 0, 1)[1]
if not owed then return false end
even_when_full()
redis.call('ZADD', P .. 'receipts', t + tonumber(ARGV[2]), owed)
return owed
