-- May a request go out now? Returns {"taken"}, or {reason, when to ask again}.
-- KEYS: budget (hash), leases, waiting, served (sorted sets). Waiting members are "priority|subject", scored by
-- when they stop waiting; served members are subjects, scored by when they had their last request.
local budget, leases, waiting, served = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, resource, priority, subject = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
local cost, lease, lease_s = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local most, reserve = tonumber(ARGV[8]), tonumber(ARGV[9])
local again_s, patience_s, kept_s = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local continues = ARGV[13] == "1"

local function number(field) return tonumber(redis.call("HGET", budget, field) or "") end
local function later(reason, at) return {reason, string.format("%.3f", at)} end

local blocked_until = number("blocked_until") or 0
if now < blocked_until then return later("blocked", blocked_until) end

redis.call("ZREMRANGEBYSCORE", leases, "-inf", now)
redis.call("ZREMRANGEBYSCORE", waiting, "-inf", now)
local in_flight, all_in_flight, promised = 0, 0, 0
for _, member in ipairs(redis.call("ZRANGE", leases, 0, -1)) do
  local leased, points = string.match(member, "^([^|]*)|([^|]*)|")
  all_in_flight = all_in_flight + 1
  if leased == resource then
    in_flight = in_flight + 1
    promised = promised + tonumber(points)
  end
end

local limit, resets_at = number(resource .. ".limit"), number(resource .. ".resets_at") or 0
if limit and now < resets_at then
  local left = (number(resource .. ".remaining") or limit) - promised - cost
  if left < math.floor(limit * reserve) then return later("spent", resets_at) end
end

-- After a secondary limit one request goes first; the others follow when it went well.
if (number("strikes") or 0) > 0 then
  most = 1
  in_flight = all_in_flight
end

local me = priority .. "|" .. subject
local function served_at(of) return tonumber(redis.call("ZSCORE", served, of) or "") or 0 end
local function wait()
  redis.call("ZADD", waiting, now + patience_s, me)
  redis.call("EXPIRE", waiting, kept_s)
  return later("busy", now + again_s)
end
if in_flight >= most then return wait() end

-- It continues its last request: nobody of the same priority comes before it.
local before_me, mine = 0, continues and 0 or served_at(subject)
for _, member in ipairs(redis.call("ZRANGE", waiting, 0, -1)) do
  local theirs, whose = string.match(member, "^(%d+)|(.*)$")
  theirs = tonumber(theirs)
  if member ~= me and (theirs < priority or (theirs == priority and served_at(whose) < mine)) then
    before_me = before_me + 1
  end
end
if before_me >= most - in_flight then return wait() end

redis.call("ZADD", leases, now + lease_s, lease)
redis.call("ZREM", waiting, me)
redis.call("ZADD", served, now, subject)
redis.call("ZREMRANGEBYSCORE", served, "-inf", now - kept_s)
for _, key in ipairs({leases, served}) do redis.call("EXPIRE", key, kept_s) end
return {"taken"}
