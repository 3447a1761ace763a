-- told: ARGV 2 = 'event state' of a receipt, 3 = in how many ms to try again; without it, it is done with.
local t = now()
if ARGV[3] then
  even_when_full()
  redis.call('ZADD', P .. 'receipts', 'XX', t + tonumber(ARGV[3]), ARGV[2])
else
  redis.call('ZREM', P .. 'receipts', ARGV[2])
end
