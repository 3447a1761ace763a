-- operate: ARGV 2 = id, 3 = replay | discard | hold | release, 4 = who, 5 = '1' if a person has looked and says
-- that no ticket exists, 6 = grace in ms. Gives 'ok', 'gone', 'forbidden' or 'nobody' (its body is aged out).
local t = now()
local id = ARGV[2]
local state = get(id, 'state')
if not state then return 'gone' end

local target = {replay = 'queued', release = 'queued', discard = 'discarded', hold = 'held'}
local from = {
  replay = {dead = true, held = true, ignored = true, discarded = true},
  release = {held = true},
  discard = {queued = true, retrying = true, dead = true, held = true},
  hold = {queued = true, retrying = true},
}
local operation = ARGV[3]
if not from[operation][state] then return 'forbidden' end

local again = target[operation] == 'queued'
if again and get(id, 'body') ~= '1' then return 'nobody' end
local uncertain = number(id, 'look_after') > 0 or get(id, 'code') == 'unknown'

even_when_full()
move(id, target[operation], t, t, operation, ARGV[4])
if again then
  if FINISHED[state] then put(id, 'force', 1) end
  put(id, 'tries', 0, 'unbegun', 0, 'begun', 0, 'code', '', 'reason', '')
  redis.call('HDEL', event_key(id), 'requester_refused', 'lookups_failed', 'vendor_failed', 'looks')
  if uncertain then
    if ARGV[5] == '1' then settle(id) else unsettle(id, t + tonumber(ARGV[6])) end
  end
  wake()
end
count(operation .. ':' .. get(id, 'channel'))
return 'ok'
