// Pieces of a log in QEMU 7.2.22's layout, for tests.
#pragma once

#include <string>

namespace bhvm::lockstep {

inline std::string state32() {
  return "EAX=2badb002 EBX=000f31e0 ECX=010004f0 EDX=00000511\n"
         "ESI=000efec0 EDI=000eff50 EBP=00000006 ESP=00007b60\n"
         "EIP=010004f0 EFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"
         "ES =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n"
         "CS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]\n"
         "SS =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n"
         "DS =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n"
         "FS =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n"
         "GS =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n"
         "LDT=0000 00000000 0000ffff 00008200 DPL=0 LDT\n"
         "TR =0000 00000000 0000ffff 00008b00 DPL=0 TSS32-busy\n"
         "GDT=     ffffffc1 00000027\n"
         "IDT=     00000000 0000ffff\n"
         "CR0=00000011 CR2=00000000 CR3=00000000 CR4=00000000\n"
         "DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 \n"
         "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
         "CCS=00000004 CCD=010004f0 CCO=EFLAGS\n"
         "EFER=0000000000000000\n";
}

inline std::string state64(const std::string& rip = "ffffffff814fba68") {
  return "RAX=00000a8800000240 RBX=0000000000000240 RCX=0000000000000a88 RDX=000000000000000c\n"
         "RSI=0000000001f67544 RDI=ffffffff81b1732a RBP=0000000040005900 RSP=0000000001f67538\n"
         "R8 =0000000000000040 R9 =0000000000000009 R10=0000000000000010 R11=0000000000000011\n"
         "R12=000000000000021f R13=0000000000000013 R14=0000000000000014 R15=0000000000000015\n"
         "RIP=" +
         rip +
         " RFL=00000086 [--S--P-] CPL=3 II=1 A20=1 SMM=0 HLT=0\n"
         "ES =0000 0000000000000000 00000000 00000000\n"
         "CS =0033 0000000000000000 ffffffff 00affb00 DPL=3 CS64 [-RA]\n"
         "SS =002b 0000000000000000 ffffffff 00cff300 DPL=3 DS   [-WA]\n"
         "DS =0000 0000000000000000 00000000 00000000\n"
         "FS =0000 00007f0011223344 00000000 00000000\n"
         "GS =0000 0000000001f63540 00000000 00000000\n"
         "LDT=0000 0000000000000000 0000ffff 00008200 DPL=0 LDT\n"
         "TR =0040 fffffe0000003000 00004087 00008b00 DPL=0 TSS64-busy\n"
         "GDT=     fffffe0000001000 0000007f\n"
         "IDT=     fffffe0000000000 00000fff\n"
         "CR0=80050033 CR2=ffff888001f62520 CR3=0000000001c1d000 CR4=000006a0\n"
         "DR0=0000000000000001 DR1=0000000000000002 DR2=0000000000000003 DR3=0000000000000004 \n"
         "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
         "CCS=00000a8800000240 CCD=655842c5566e6318 CCO=SUBQ\n"
         "EFER=0000000000000d01\n";
}

inline std::string fpu(int xmm_registers = 16) {
  std::string text =
      "FCW=037f FSW=3800 [ST=7] FTW=80 MXCSR=00001fa0\n"
      "FPR0=0000000000000000 0000 FPR1=0000000000000000 0000\n"
      "FPR2=0000000000000000 0000 FPR3=0000000000000000 0000\n"
      "FPR4=0000000000000000 0000 FPR5=0000000000000000 0000\n"
      "FPR6=0000000000000000 0000 FPR7=8000000000000000 3fff\n";
  for (int i = 0; i < xmm_registers; i += 2) {
    const std::string first = (i < 10 ? "0" : "") + std::to_string(i);
    const std::string second = (i + 1 < 10 ? "0" : "") + std::to_string(i + 1);
    text += "XMM" + first + "=00000000000000aa 00000000000000bb XMM" + second + "=1111111111111111 2222222222222222\n";
  }
  return text;
}

inline std::string page_fault() {
  return "check_exception old: 0xffffffff new 0xe\n"
         "     0: v=0e e=0002 i=0 cpl=0 IP=0010:ffffffff81ef31a8 pc=ffffffff81ef31a8 SP=0000:ffffffff81c03f38 "
         "CR2=ffff888001f62520\n";
}

inline std::string timer_interrupt() {
  return "Servicing hardware INT=0xec\n"
         "    12: v=ec e=0000 i=0 cpl=0 IP=0010:ffffffff81ef31a8 pc=ffffffff81ef31a8 SP=0000:ffffffff81c03f38 "
         "env->regs[R_EAX]=0000000000000000\n";
}

}  // namespace bhvm::lockstep
