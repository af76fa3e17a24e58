package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.os.SystemClock
import android.view.MotionEvent
import android.widget.SeekBar
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File

/** The screen on Android 15 as Robolectric has it, with ONNX Runtime and the demonstration model for real. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
@GraphicsMode(GraphicsMode.Mode.LEGACY)
class MainActivityTest {
    private val start = Robolectric.buildActivity(MainActivity::class.java)
    private val alive = mutableListOf<ActivityController<MainActivity>>()

    private fun started(controller: ActivityController<MainActivity> = start, kept: Bundle? = null): MainActivity {
        alive += controller
        return (if (kept == null) controller.setup() else controller.setup(kept)).get()
    }

    private fun ended(controller: ActivityController<MainActivity>) {
        alive -= controller
        controller.pause().stop().destroy()
    }

    /** Else models and threads would pile up. */
    @After
    fun end() = alive.toList().forEach(::ended)

    private fun allowCamera() = shadowOf(context as android.app.Application)
        .grantPermissions(Manifest.permission.CAMERA)

    private fun choosePhoto(activity: MainActivity, file: File = golden("demo.png")) {
        activity.press("Photo")
        val request = shadowOf(activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_GET_CONTENT, request.intent.action)
        shadowOf(activity).receiveResult(request.intent, Activity.RESULT_OK, Intent().setData(Uri.fromFile(file)))
        shadowOf(activity).clearNextStartedActivities()
    }

    private fun analysed(activity: MainActivity) =
        await("an answer") { "%" in "${activity.one<FrameView>().contentDescription}" }

    @Test
    fun `without a model it says how to bring one`() {
        val activity = started()
        await("a hint") { activity.says("adb push model.onnx model.onnx.json") }
        push(golden("stub.onnx"))
        activity.press("Look again")
        await("another look") { activity.says("cannot load stub.onnx") }
    }

    /** A damaged file is a line and a way out; so is a manifest of another file. */
    @Test
    fun `an artifact that does not fit is a line, and the chooser`() {
        push(golden("stub.onnx"))
        File(context.modelFolders().first(), "stub.onnx").appendText("more")
        val activity = started()
        await("a reason") { activity.says("is not the file its manifest describes") }
        assertTrue("Choose a model" in activity.words())
    }

    @Test
    fun `the camera is asked for once, and refusal leaves a way out`() {
        push(demo)
        val activity = started()
        await("the question") { shadowOf(activity).lastRequestedPermission != null }
        val asked = shadowOf(activity).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        activity.onRequestPermissionsResult(
            asked.requestCode, asked.requestedPermissions, intArrayOf(PackageManager.PERMISSION_DENIED),
        )
        assertTrue(activity.says("Without the camera there is no live view"))
        activity.press("Open settings")
        assertEquals("package:${context.packageName}", "${shadowOf(activity).nextStartedActivity.data}")
        choosePhoto(activity)
        analysed(activity)
        assertFalse(activity.says("Without the camera"))
    }

    @Test
    fun `a device without a camera still has photos`() {
        allowCamera()
        push(demo)
        val activity = started()
        await("a reason") { activity.says("this device has no camera; choose a photo instead") }
    }

    @Test
    fun `a photo is analysed, described, and shared with whoever is chosen alone`() {
        allowCamera()
        push(demo)
        val activity = started()
        await("a model") { activity.says("demo_panoptic") && activity.says("onnxruntime") }
        choosePhoto(activity)
        analysed(activity)
        assertTrue(activity.says("infer"))
        assertFalse("a photo stays as it is; the screen may go dark", activity.window.decorView.keepsScreenOn())
        activity.press("Share")
        await("the chooser") { shadowOf(activity).peekNextStartedActivity()?.action == Intent.ACTION_CHOOSER }
        @Suppress("DEPRECATION")
        val sent = checkNotNull(
            shadowOf(activity).nextStartedActivity.getParcelableExtra<Intent>(Intent.EXTRA_INTENT),
        )
        assertEquals(Intent.FLAG_GRANT_READ_URI_PERMISSION, sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION)
        assertTrue("infer" in sent.getStringExtra(Intent.EXTRA_TEXT).orEmpty())
        assertTrue(File(context.cacheDir, "lvt.png").length() > 0)
    }

    @Test
    fun `a photo that has gone is a line`() {
        push(demo)
        val activity = started()
        choosePhoto(activity, golden("gone.png"))
        await("a reason") { activity.says("this picture cannot be read") && "Choose another" in activity.words() }
    }

    /** A change of language, or Android for want of memory: the photo and the choices are still there. */
    @Test
    fun `an activity that is made anew shows what it showed`() {
        allowCamera()
        push(demo)
        context.getSharedPreferences("choice", 0).edit().putInt("threads", 1).apply()
        val activity = started()
        choosePhoto(activity)
        analysed(activity)
        val kept = Bundle()
        start.saveInstanceState(kept)
        ended(start)
        val next = started(Robolectric.buildActivity(MainActivity::class.java), kept)
        analysed(next)
        assertTrue(next.says("1 threads"))
        assertTrue("Camera" in next.words())
    }

    @Test
    fun `leaving while a model loads is no crash`() {
        push(demo)
        started()
        ended(start)
        Thread.getAllStackTraces().keys.filter { it.name == "inference" }.forEach { it.join(20_000) }
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }

    @Test
    fun `pause and camera are one button`() {
        allowCamera()
        push(demo)
        val activity = started()
        await("a model") { activity.says("onnxruntime") }
        activity.press("Pause")
        activity.press("Resume")
        choosePhoto(activity)
        await("the photo") { "Camera" in activity.words() }
        activity.press("Camera")
        assertTrue("Pause" in activity.words())
    }

    @Test
    fun `opacity and zoom`() {
        allowCamera()
        push(demo)
        val activity = started()
        choosePhoto(activity)
        analysed(activity)
        val frames = activity.one<FrameView>()
        activity.one<SeekBar>().progress = 25
        assertEquals(0.25f, frames.opacity)
        frames.layout(0, 0, 400, 600)
        doubleTap(frames, 100f, 300f)
        assertTrue(frames.zoom.factor > 1)
        doubleTap(frames, 100f, 300f)
        assertEquals(Zoom(), frames.zoom)
    }

    private fun doubleTap(view: FrameView, x: Float, y: Float) {
        var now = SystemClock.uptimeMillis() + 10_000 // away from the taps before
        for (tap in 0..1) {
            for (action in listOf(MotionEvent.ACTION_DOWN, MotionEvent.ACTION_UP)) {
                val event = MotionEvent.obtain(now, now, action, x, y, 0)
                view.onTouchEvent(event)
                event.recycle()
                now += 50
            }
        }
        shadowOf(android.os.Looper.getMainLooper()).idleFor(java.time.Duration.ofSeconds(20))
    }

    private fun android.view.View.keepsScreenOn(): Boolean = keepScreenOn ||
        (this as? android.view.ViewGroup)?.let { group ->
            (0 until group.childCount).any { group.getChildAt(it).keepsScreenOn() }
        } == true
}
