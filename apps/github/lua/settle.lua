-- A request is over: learn from its answer. Returns the subject that is next, or "".
-- KEYS: budget (hash), leases, waiting, served (sorted sets), as in take.lua.
-- ARGV: now, lease, resource, reported ("limit", "unlimited" or "nothing"), limit, remaining, resets_at,
--       outcome ("good", "primary", "secondary" or "other"), wait_s ("" where GitHub named none), kept_s.
local budget, leases, waiting, served = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, lease, resource, reported = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local limit, remaining, resets_at = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local outcome, wait_s, kept_s = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local SAME_WINDOW_S, SHORTEST_S, LONGEST_S = 60, 60, 3600

local function number(field) return tonumber(redis.call("HGET", budget, field) or "") end
local function keep(field, value) redis.call("HSET", budget, field, value) end
local function forget(...) redis.call("HDEL", budget, ...) end

redis.call("ZREM", leases, lease)

if reported == "limit" then
  local known_reset = number(resource .. ".resets_at") or 0
  if known_reset <= now or resets_at > known_reset + SAME_WINDOW_S then
    keep(resource .. ".remaining", remaining)
    keep(resource .. ".resets_at", resets_at)
  elseif resets_at >= known_reset - SAME_WINDOW_S then
    -- Answers overtake one another: within a window the number only falls.
    keep(resource .. ".remaining", math.min(remaining, number(resource .. ".remaining") or remaining))
    keep(resource .. ".resets_at", math.max(resets_at, known_reset))
  end
  keep(resource .. ".limit", limit)
elseif reported == "unlimited" then
  forget(resource .. ".limit", resource .. ".remaining", resource .. ".resets_at")
end

if outcome == "primary" then
  keep(resource .. ".limit", number(resource .. ".limit") or 1)
  keep(resource .. ".remaining", 0)
  keep(resource .. ".resets_at", math.max(now + (wait_s or SHORTEST_S), reported == "limit" and resets_at or 0))
elseif outcome == "secondary" then
  local strikes = (number("strikes") or 0) + 1
  local pause_s = wait_s or math.min(SHORTEST_S * 2 ^ (strikes - 1), LONGEST_S)
  keep("strikes", strikes)
  keep("blocked_until", math.max(number("blocked_until") or 0, now + pause_s))
elseif outcome == "good" then
  forget("strikes", "blocked_until")
end
redis.call("EXPIRE", budget, kept_s)

redis.call("ZREMRANGEBYSCORE", waiting, "-inf", now)
local function served_at(of) return tonumber(redis.call("ZSCORE", served, of) or "") or 0 end
local best, best_priority, best_served_at = "", nil, nil
for _, member in ipairs(redis.call("ZRANGE", waiting, 0, -1)) do
  local priority, subject = string.match(member, "^(%d+)|(.*)$")
  priority = tonumber(priority)
  local last = served_at(subject)
  if not best_priority or priority < best_priority or (priority == best_priority and last < best_served_at) then
    best, best_priority, best_served_at = subject, priority, last
  end
end
return best
