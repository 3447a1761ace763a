-- claim: ARGV 2 = id, 3 = lease in ms, 4 = hard limit of the job in ms, 5 = claims without a begin that
-- make a dead letter, 6 = worker, 7 = grace in ms. Only for an event that is handed out and not yet claimed.
-- Gives {'nothing'}, {'poison'} or {'claimed', field, value, …} with the event as it now stands.
local t = now()
local id = ARGV[2]
if get(id, 'handed') ~= '1' then return {'nothing'} end
even_when_full()
follow_history(t)

local pause = redis.call('HMGET', P .. 'pause', 'until', 'probe')
if pause[1] and pause[2] ~= id then
  -- Handed out just before the pause began: back into the queue, where take leaves it until the end.
  put(id, 'handed', 0)
  set_due(id, t)
  redis.call('ZREM', P .. 'out', id)
  return {'nothing'}
end

local begun = number(id, 'begun')
local uncertain = begun > 0 or number(id, 'look_after') > 0
local lost = 'its worker died while the ticket was being sent'
if number(id, 'unbegun') >= tonumber(ARGV[5]) then
  local code, why = 'poison', 'its worker died ' .. ARGV[5] .. ' times before anything was sent'
  if uncertain then
    code, why = 'unknown', 'a ticket may exist or not: looking for it, its worker died ' .. ARGV[5] .. ' times'
  end
  move(id, 'dead', t, nil, why, ARGV[6])
  if begun > 0 then
    close_attempt(id, {outcome = 'unknown', error = lost})
    unsettle(id, t + tonumber(ARGV[7]))
    redis.call('ZREM', P .. 'unsettled', id)
  end
  put(id, 'code', code, 'reason', why, 'lease', 0, 'begun', 0)
  count('dead:' .. get(id, 'channel'))
  return {'poison'}
end

local taken_over = get(id, 'state') == 'delivering'
move(id, 'delivering', t, t + tonumber(ARGV[3]), taken_over and 'taken over' or 'claimed', ARGV[6])
-- A history that was forgotten may have given out the next tokens already.
put(id, 'token', string.format('%.0f', math.max(number(id, 'token'), epoch('number') * 1048576) + 1))
redis.call('HINCRBY', event_key(id), 'unbegun', 1)
put(id, 'lease', t + tonumber(ARGV[3]), 'deadline', t + tonumber(ARGV[4]), 'worker', ARGV[6])
redis.call('ZADD', P .. 'out', t + tonumber(ARGV[3]), id)
if begun > 0 then
  -- The grace counts from now: whoever sent it could send no later than its lease.
  close_attempt(id, {outcome = 'unknown', error = lost})
  unsettle(id, t + tonumber(ARGV[7]))
  put(id, 'begun', 0, 'reason', lost)
elseif not uncertain and number(id, 'epoch') ~= epoch('number') then
  -- The server may have forgotten a claim and an attempt. Whoever made it can send until its lease is over: one
  -- that the server forgot was given before the change, one that it knows ends with the takeover.
  unsettle(id, (taken_over and t or epoch('at') + tonumber(ARGV[3])) + tonumber(ARGV[7]))
  put(id, 'reason', 'Redis was restarted or replaced, and may have forgotten an attempt')
end
local answer = redis.call('HGETALL', event_key(id))
table.insert(answer, 1, 'claimed')
if pause[1] then
  answer[#answer + 1] = 'probing'
  answer[#answer + 1] = '1'
end
return answer
