// A file system that is full: the agent's balloon.
#pragma once

// Takes all free space of the file system at `path` by one file in it. Returns 0, or an errno.
int fill_file_system(const char* path);
// Gives it back.
int unfill_file_system(const char* path);
