-- claim: ARGV 2 = id, 3 = lease in ms, 4 = hard limit of the job in ms, 5 = claims without a begin that
-- make a dead letter, 6 = worker. Only for an event that is handed out and not yet claimed.
-- Gives {'nothing'}, {'poison'} or {'claimed', field, value, …} with the event as it now stands.
local t = now()
local id = ARGV[2]
if get(id, 'handed') ~= '1' then return {'nothing'} end

local pause = redis.call('HMGET', P .. 'pause', 'until', 'probe')
if pause[1] and pause[2] ~= id then
  -- Handed out just before the pause began: back into the queue, behind it.
  put(id, 'handed', 0)
  set_due(id, math.max(t, tonumber(pause[1])))
  redis.call('ZREM', P .. 'out', id)
  return {'nothing'}
end

local begun = number(id, 'begun')
if begun == 0 and number(id, 'unbegun') >= tonumber(ARGV[5]) then
  local why = 'its worker died ' .. ARGV[5] .. ' times before anything was sent'
  put(id, 'code', 'poison', 'reason', why, 'lease', 0)
  move(id, 'dead', t, nil, why, ARGV[6])
  count('dead:' .. get(id, 'channel'))
  return {'poison'}
end

move(id, 'delivering', t, t + tonumber(ARGV[3]), begun > 0 and 'taken over' or 'claimed', ARGV[6])
redis.call('HINCRBY', event_key(id), 'token', 1)
if begun == 0 then redis.call('HINCRBY', event_key(id), 'unbegun', 1) end
put(id, 'lease', t + tonumber(ARGV[3]), 'deadline', t + tonumber(ARGV[4]), 'worker', ARGV[6])
redis.call('ZADD', P .. 'out', t + tonumber(ARGV[3]), id)
local answer = redis.call('HGETALL', event_key(id))
table.insert(answer, 1, 'claimed')
return answer
