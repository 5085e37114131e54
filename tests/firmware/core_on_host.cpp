// Runs the protocol core of the dead-man box on this computer, for tests: bytes and times in, replies and coil out.
//
// One event a line on standard input: "<ms> <welded 0|1> <door 0|1> <hexadecimal bytes or ->". The core is polled every
// millisecond up to the event. The relay follows the coil after 5 ms; a welded contact stays closed once it was closed.
// For each event one line on standard output: "<coil> <contact> <replies in hexadecimal or ->".

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

#include "deadman_core.h"

static DeadmanCore core;
static bool contact = false, armature = false, moving = false;
static std::uint32_t moves = 0;

static void settle(std::uint32_t now, bool welded) {
  if (core.coil() == armature) {
    moving = false;
  } else if (!moving) {
    moving = true;
    moves = now + 5;
  } else if (now == moves) {
    armature = core.coil();
    moving = false;
  }
  contact = armature || (contact && welded);
}

int main() {
  std::string hex;
  std::uint32_t now = 0, until;
  int welded, door;
  bool started = false, was_welded = false, door_was_closed = true;
  while (std::cin >> until >> welded >> door >> hex) {
    if (!started) {
      core.reset(now = until);
      started = true;
    }
    for (;; now++) {
      const bool here = now == until;  // until then it is as the event before left it
      settle(now, here ? welded != 0 : was_welded);
      core.poll(now, contact, here ? door != 0 : door_was_closed);
      settle(now, here ? welded != 0 : was_welded);
      if (here) break;
    }
    was_welded = welded != 0;
    door_was_closed = door != 0;
    std::string replies;
    for (std::size_t at = 0; hex != "-" && at + 1 < hex.size(); at += 2) {
      core.feed(static_cast<std::uint8_t>(std::stoi(hex.substr(at, 2), nullptr, 16)));
      settle(now, welded != 0);
      core.poll(now, contact, door != 0);
      if (core.hasReply()) replies += core.reply();
    }
    std::printf("%d %d ", core.coil(), contact);
    if (replies.empty()) std::printf("-");
    for (const char byte : replies) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    std::printf("\n");
  }
  return 0;
}
