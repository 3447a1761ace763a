-- doubled: ARGV 2 = id, 3 = tickets beside its own (JSON list), 4 = what was done about them. The alarm: an event
-- made more than one ticket.
local t = now()
local id = ARGV[2]
local state = get(id, 'state')
if not state or get(id, 'extra_tickets') == ARGV[3] then return 0 end
even_when_full()
put(id, 'extra_tickets', ARGV[3])
log('history:', id, {at = t, from = state, to = state, why = ARGV[4], by = 'sweep'})
redis.call('ZADD', P .. 'alarms', t, id)
redis.call('ZREMRANGEBYRANK', P .. 'alarms', 0, -101)
count('doubled:' .. get(id, 'channel'))
return 1
