package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.File

class LaunchJournalTest {
    @TempDir
    private lateinit var folder: File

    /** A journal of a new process. */
    private fun journal() = LaunchJournal(File(folder, "launches"))

    @Test
    fun `an attempt that ended the process has failed`() {
        journal().begin("a.tflite", "tflite-gpu")
        assertEquals("", journal().failure("a.tflite", "tflite-gpu"))
        assertNull(journal().failure("b.tflite", "tflite-gpu"))
        assertNull(journal().failure("a.tflite", "tflite"))
    }

    @Test
    fun `an attempt that computed a result has not failed`() {
        journal().apply {
            begin("a.tflite", "tflite-gpu")
            succeed("a.tflite", "tflite-gpu")
        }
        assertNull(journal().failure("a.tflite", "tflite-gpu"))
    }

    @Test
    fun `remembers the error of an attempt until the user tries again`() {
        journal().apply {
            begin("a.tflite", "tflite-gpu")
            assertEquals(true, fail("a.tflite", "tflite-gpu", "no OpenCL\nstack"))
            assertEquals(false, fail("a.tflite", "tflite-gpu", "a later error"))
        }
        assertEquals("no OpenCL", journal().failure("a.tflite", "tflite-gpu"))
        journal().forget("a.tflite", "tflite-gpu")
        assertNull(journal().failure("a.tflite", "tflite-gpu"))
    }

    /** Two models of a comparison start one after the other. */
    @Test
    fun `attempts of two models do not mix`() {
        journal().apply {
            begin("a.tflite", "tflite-gpu")
            begin("b.tflite", "tflite-gpu")
            succeed("a.tflite", "tflite-gpu")
        }
        assertNull(journal().failure("a.tflite", "tflite-gpu"))
        assertEquals("", journal().failure("b.tflite", "tflite-gpu"))
    }
}
