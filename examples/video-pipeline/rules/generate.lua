-- Makes the events of the example: generate(i) is called with 0, 1, 2, …
-- math.random gives the same numbers for the same seed and i.
local regions = {"us-east-1", "us-west-2", "eu-west-1", "ap-south-1", "sa-east-1"}
local codecs = {"h264", "h265", "vp9", "av1"}
local sources = {"api", "upload", "webhook", "batch"}
local start = time.parse("2025-01-01T00:01:00Z")

local function pick(list) return list[math.random(#list)] end

local function event(i)
  local share = math.random()
  return {
    video_id = string.format("vid_%010d", i),
    user_id = string.format("user_%03d", math.random(50)),
    processing_time = round(0.05 + -4 * math.log(1 - math.random()), 6),
    status = share < 0.8 and "completed" or share < 0.9 and "failed" or "queued",
    created_at = time.format(start + i * 4),
    region = pick(regions),
    size_bytes = math.random(100000, 5000000000),
    codec = pick(codecs),
    meta = {source = pick(sources), attempt = math.random(3)},
  }
end

function generate(i)
  local e = event(i)
  local bad = math.random()
  if bad < 0.01 then                       -- a line that was cut off
    local line = json.encode(e)
    return line:sub(1, math.random(20, #line - 1))
  elseif bad < 0.015 then                  -- against the schema
    e.processing_time = -1.5
  elseif bad < 0.02 then
    e.status = "exploded"
  elseif bad < 0.03 then                   -- against a business rule
    e.status, e.size_bytes = "completed", 0
  end
  return e
end
