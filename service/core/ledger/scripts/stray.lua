-- stray: ARGV 2 = id, 3 = ticket. A worker made this ticket, or perhaps one that it cannot name (''), when the event
-- was no longer its own. Gives 1 where the event has another one, or may get one: it is looked for at once.
local t = now()
local id = ARGV[2]
if not get(id, 'state') or get(id, 'ticket_id') == ARGV[3] then return 0 end
even_when_full()
put(id, 'doubted', 1, 'stray_at', t)
look_back(id)
watch(id, t)
redis.call('ZADD', P .. 'watch', t, id)
return 1
